"""Mail over TLS with a login, to a server whose certificate is, or is not, one that this machine trusts."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Delivery, Verdict
from tests.integration.notify.servers import mail_server
from tests.unit.monitor.notify.samples import compose, transition

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates of these tests"),
    # Over TLS from the first byte, the server does not know that the line is secure; it asks for the login even so.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]
BOTH = pytest.mark.parametrize("mode", ["ssl", "starttls"])


@pytest.fixture
def server_tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side, and the certificate that a client has to trust."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    made = [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


async def send(port: int, mode: str, password: str = "pass") -> Delivery:
    address = f"mailtos://user:{password}@127.0.0.1:{port}?mode={mode}&from=monitor@example.com&to=desk@example.com"
    sender = open_receiver([address], deadline=10)
    try:
        return await sender.send(compose(transition(), ["desk"])[0])
    finally:
        await sender.close()


@BOTH
async def test_a_mail_arrives_over_tls_after_the_login(server_tls, monkeypatch, mode):
    context, cert = server_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with mail_server(login=True, tls=context, starttls=mode == "starttls") as box:
        outcome = await send(box.port, mode)
    assert outcome.delivered, outcome.detail
    [mail] = box.mails
    assert box.logins == [(b"user", b"pass")]
    assert "Episode: small-caps-turn-2026-01-23-1" in box.text(0)
    assert mail.get_body(("html",)) is not None


@BOTH
async def test_a_wrong_password_is_refused_and_not_shown(server_tls, monkeypatch, mode):
    context, cert = server_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with mail_server(login=True, tls=context, starttls=mode == "starttls") as box:
        outcome = await send(box.port, mode, "hunter2hunter2")
    assert outcome.verdict is Verdict.FATAL
    assert "hunter2" not in outcome.detail
    assert box.mails == []


@BOTH
async def test_a_certificate_that_nobody_vouches_for_gets_no_password(server_tls, mode):
    context, _ = server_tls
    with mail_server(login=True, tls=context, starttls=mode == "starttls") as box:
        outcome = await send(box.port, mode)
    assert outcome.verdict is Verdict.TRANSIENT
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.detail
    assert (box.mails, box.logins) == ([], [])
