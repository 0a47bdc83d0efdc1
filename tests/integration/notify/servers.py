"""A real mail server and a real web server on loopback, that keep what arrives and can be told to misbehave."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mailbox:
    """Mails in the order of arrival; `answer` is given to each, `logins` holds the accepted ones."""

    def __init__(self, answer: str) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = answer
        self.logins: list[tuple[bytes, bytes]] = []
        self.port = 0
        self.largest = 0
        """Bytes of the largest mail that is taken; 0: any."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.largest and len(envelope.content or b"") > self.largest:
            return "552 5.3.4 message too large"
        if self.answer.startswith("250"):
            content = cast("bytes", envelope.content)
            self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        return self.answer

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword) or data.password != b"pass":
            return AuthResult(success=False, handled=False)
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)

    def text(self, index: int) -> str:
        """The plain text of a mail."""
        body = self.mails[index].get_body(("plain",))
        assert body is not None
        return str(body.get_content())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mail_server(
    *,
    login: bool = False,
    answer: str = "250 OK",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    starttls: bool = False,
) -> Iterator[Mailbox]:
    """A mail server on 127.0.0.1; with `login`, one that wants ``user:pass``.

    With `tls` it speaks TLS from the first byte, or with `starttls` takes nothing before that command.
    """
    box = Mailbox(answer)
    box.port = port or free_port()
    extra: dict[str, Any] = {}
    if login:
        extra = {"authenticator": box.authenticate, "auth_required": True, "auth_require_tls": starttls}
    if tls is not None:
        extra |= {"tls_context": tls, "require_starttls": True} if starttls else {"ssl_context": tls}
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **extra)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


class Hook:
    """Posts in the order of arrival; each is answered with `status`, after `gate` is set."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.port = 0


@contextmanager
def web_server() -> Iterator[Hook]:
    """A web server on 127.0.0.1 that takes JSON posts."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.gate.wait(20)
            if hook.status < 300:
                hook.posts.append(json.loads(body))
                hook.bodies.append(body)
                hook.headers.append(dict(self.headers))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silent: the test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
