from __future__ import annotations

import base64
import time

import msgspec
import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.alert import fingerprint
from monitor.notify.compose import message
from monitor.notify.credentials import Credentials
from monitor.notify.message import Kind
from monitor.notify.receivers import validate
from monitor.notify.render import header
from monitor.notify.webhook import WebhookSender, body
from monitor.settings.alerting import ReceiverSettings
from tests.unit.monitor.notify.samples import compose, notification, transition

PAGE = "https://monitor.example.com"


def test_one_alert_has_all_of_alertmanagers_fields_and_ours():
    [told] = compose(transition(), ["desk"])
    said = msgspec.json.decode(msgspec.json.encode(body(told, PAGE)))
    [alert] = said["alerts"]
    assert (said["version"], said["status"], said["receiver"], said["truncatedAlerts"]) == ("4", "firing", "desk", 0)
    assert said["externalURL"] == PAGE
    assert said["idempotencyKey"] == told.key == alert["idempotencyKey"]
    assert alert["labels"] == said["commonLabels"]
    assert alert["labels"] == {**told.labels, "alertname": "small-caps-turn", "severity": "warning"}
    assert alert["annotations"] == said["commonAnnotations"] == {"summary": told.summary}
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-01-23T14:57:30.000000000Z", "0001-01-01T00:00:00Z")
    assert alert["fingerprint"] == fingerprint(alert["labels"])
    assert alert["generatorURL"] == f"{PAGE}/api/v1/alerts/small-caps-turn-2026-01-23-1"
    assert alert["evidence"]["threshold"]["level"] == -0.01


def test_what_is_over_has_its_end():
    [alert] = body(notification(kind=Kind.RESOLVED))["alerts"]
    assert (alert["status"], alert["endsAt"]) == ("resolved", "2026-01-23T15:07:30.000000000Z")
    assert body(notification(kind=Kind.RESOLVED))["status"] == "resolved"


def test_a_group_says_what_its_alerts_have_in_common():
    first = notification("a", labels={"theme": "size", "member": "IWM"}, annotations={"runbook": "r"})
    over = notification("b", Kind.RESOLVED, labels={"theme": "size", "member": "SPY"}, annotations={"runbook": "r"})
    told = [*first.notices, *over.notices]
    said = body(message("desk", told, group_key="theme=size", group_labels={"theme": "size"}))
    assert (said["groupKey"], said["groupLabels"], said["status"]) == ("theme=size", {"theme": "size"}, "firing")
    assert said["commonLabels"] == {"theme": "size", "alertname": "small-caps-turn", "severity": "warning"}
    assert said["commonAnnotations"] == {"runbook": "r", "summary": "small-caps-turn fired"}
    assert [a["status"] for a in said["alerts"]] == ["firing", "resolved"]
    assert len({a["idempotencyKey"] for a in said["alerts"]}) == 2


def test_a_group_of_thousands_has_them_all():
    told = [n for i in range(3_000) for n in notification(f"e{i}", labels={"member": f"M{i}"}).notices]
    said = body(message("desk", told))
    assert len({a["fingerprint"] for a in said["alerts"]}) == 3_000
    assert said["commonAnnotations"] == {"summary": "small-caps-turn fired"}


def test_a_note_is_told_as_one():
    said = body(notification(kind=Kind.NOTE))
    assert (said["status"], said["kind"], said["alerts"][0]["kind"]) == ("firing", "note", "note")


@given(st.text())
def test_any_key_is_a_header_that_is_its_own(key):
    made = header(key)
    assert made.isascii()
    assert not set(made) & set(" \r\n\t\x00\x7f")
    assert header(key + "x") != made


@pytest.mark.parametrize(
    "url", ["webhook://", "webhook://:80/x", "webhook://h:99999", "webhooks://h/x#y", "webhook://h:0"]
)
def test_addresses_that_are_none(url):
    assert validate(url)
    with pytest.raises(ValueError, match="address of a webhook"):
        WebhookSender(url)


def test_the_type_makes_addresses_those_of_webhooks():
    made = ReceiverSettings.model_validate({"type": "webhook", "urls": ["http://a:1/x?y=z", "https://b"]})
    assert [url.get_secret_value() for url in made.urls] == ["webhook://a:1/x?y=z", "webhooks://b"]
    assert all(validate(url.get_secret_value()) is None for url in made.urls)
    with pytest.raises(ValueError, match="none of a webhook"):
        ReceiverSettings.model_validate({"type": "webhook", "urls": ["slack://a/b/c"]})


async def test_what_the_target_shows_has_no_secret():
    sender = WebhookSender("webhooks://me:hunter2hunter2@hooks.example.com/T0KEN0/abc?sig=S1GNATURE")
    assert sender.target == "Webhook https://hooks.example.com"
    said = sender._said("refused T0KEN0 for me:hunter2hunter2 sig S1GNATURE bWU6aHVudGVyMmh1bnRlcjI=")
    assert not any(secret in said for secret in ("T0KEN0", "hunter2", "S1GNATURE", "bWU6"))
    await sender.close()


KEY = "whsec_" + base64.b64encode(b"of twenty-four bytes, it").decode()


def test_a_signature_is_one_that_others_verify():
    content = b'{"version":"4"}'
    now = time.time_ns()
    headers = Credentials(token="T0KEN", key=KEY).headers("Größe BRK.B/1", content, now)
    assert headers["Authorization"] == "Bearer T0KEN"
    verifier = standardwebhooks.Webhook(KEY)
    assert verifier.verify(content, headers) == {"version": "4"}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(content + b" ", headers)
    assert "." not in headers["webhook-id"]
    assert Credentials().headers("k", content, now) == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "webhook", "signing_key": "hunter2"}, "a signing key is whsec_"),
        ({"type": "webhook", "signing_key": "whsec_"}, "a signing key is whsec_"),
        ({"type": "webhook", "signing_key": "whsec_hunter2!"}, "a signing key is whsec_"),
        ({"type": "alertmanager", "signing_key": KEY}, "belongs to a `type: webhook`"),
        ({"token": "hunter2"}, "`type: webhook` or `type: alertmanager`"),
        ({"type": "webhook", "token": "hunter2\r\nX: y"}, "is no bearer token"),
        ({"type": "webhook", "token": ""}, "is no bearer token"),
    ],
)
def test_credentials_that_cannot_be_used_are_not_quoted(wrong, said):
    with pytest.raises(ValueError, match=said) as error:
        ReceiverSettings.model_validate({"urls": ["https://h/x"], **wrong})
    assert "hunter2" not in str(error.value)
