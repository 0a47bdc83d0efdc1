"""Webhooks in the format of Alertmanager: ``webhook://host/path`` (``webhooks://`` for https).

Whoever takes the webhooks of an Alertmanager (version 4 of its format) takes these. Beside its fields they have ours:
the idempotency key, also as the header ``Idempotency-Key``, and what the alert was decided by.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from monitor import clock
from monitor.alerting.alert import fingerprint
from monitor.notify.alertmanager import annotations_of, labels_of, rfc3339
from monitor.notify.credentials import NONE, Credentials
from monitor.notify.http_client import HttpClient, NoAnswer
from monitor.notify.message import AlertNotice, Kind, Notification
from monitor.notify.redaction import pieces, redacted
from monitor.notify.render import header
from monitor.notify.sender import Delivery, Verdict

SCHEMES: Final = {"webhook": "http", "webhooks": "https"}
_VERSION: Final = "4"
_NOT_ENDED: Final = "0001-01-01T00:00:00Z"
_SAID: Final = 300
_WRONG: Final = "not the address of a webhook: write webhook://HOST/PATH, or webhooks:// for https"


def is_webhook(url: str) -> bool:
    """Whether an address of a receiver is one of these."""
    return url.partition(":")[0].lower() in SCHEMES


def validate(url: str) -> str | None:
    """What is wrong with the address, as one line without secrets; None if it can be used."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return _WRONG
    except ValueError:
        return _WRONG
    return "an address of a webhook has no #" if parts.fragment else None


class WebhookSender:
    """Posts to one address. `deadline`: seconds an attempt may take; `page`: address of the monitor's page, for links.

    A user and password in the address are sent as they are with any web address. Raises ValueError with
    :func:`validate`'s text for an address that cannot be used.
    """

    def __init__(self, url: str, deadline: float = 30.0, page: str = "", credentials: Credentials = NONE) -> None:
        if wrong := validate(url):
            raise ValueError(wrong)
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self._url = parts._replace(scheme=SCHEMES[parts.scheme.lower()], netloc=host).geturl()
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._secrets = {*(piece for piece in pieces(url) if piece not in host), encoded, *credentials.secrets}
        self.target = f"Webhook {SCHEMES[parts.scheme.lower()]}://{host}"  # its path may be the secret
        self._page = page
        self._credentials = credentials
        self._client = HttpClient(deadline, (user, password) if parts.username is not None else None)

    async def send(self, notification: Notification) -> Delivery:
        """Try once."""
        content = msgspec.json.encode(body(notification, self._page))
        headers = {"Idempotency-Key": header(notification.key), "User-Agent": "rotation-monitor"}
        headers |= self._credentials.headers(notification.key, content, clock.wall_ns())
        try:
            answer = await self._client.post(self._url, content, headers)
        except NoAnswer as error:
            return Delivery(Verdict.TRANSIENT, self._said(str(error)))
        said = "accepted" if answer.verdict is Verdict.DELIVERED else f"{answer.status} {answer.text}"
        return Delivery(answer.verdict, self._said(said), answer.retry_after)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _said(self, text: str) -> str:
        return f"{self.target}: {' '.join(redacted([text], self._secrets))[:_SAID]}"


def body(notification: Notification, page: str = "") -> dict[str, Any]:
    """The message in Alertmanager's format; `page`: address of the monitor's page, without a slash at its end.

    Its two states are firing and resolved; of a note (somebody has acknowledged) the alert's state is told, and `kind`
    says that it is one. Alerts that a long message does not show in full have no annotations and evidence.
    """
    notices = notification.notices
    alerts = [_alert(notice, notification.receiver, page) for notice in notices]
    resolved = all(notice.kind is Kind.RESOLVED for notice in notices)
    return {
        "version": _VERSION,
        "groupKey": notification.line,
        "truncatedAlerts": 0,
        "status": "resolved" if resolved else "firing",
        "receiver": notification.receiver,
        "groupLabels": dict(notification.group_labels),
        "commonLabels": _common(alert["labels"] for alert in alerts),
        "commonAnnotations": _common(
            alert["annotations"] for alert, notice in zip(alerts, notices, strict=True) if notice.summary
        ),
        "externalURL": page,
        "alerts": alerts,
        "idempotencyKey": notification.key,
        "kind": str(notification.kind),
        "summary": notification.summary,
        "severity": notification.severity,
    }


def _alert(notice: AlertNotice, receiver: str, page: str) -> dict[str, Any]:
    over = notice.kind is Kind.RESOLVED
    labels = labels_of(notice)
    return {
        "status": "resolved" if over else "firing",
        "labels": labels,
        "annotations": annotations_of(notice),
        "startsAt": rfc3339(notice.started_at),
        "endsAt": rfc3339(max(notice.at, notice.started_at)) if over else _NOT_ENDED,
        "generatorURL": f"{page}/api/v1/alerts/{quote(notice.episode, safe='')}" if page else "",
        "fingerprint": fingerprint(labels),
        "idempotencyKey": notice.key(receiver),
        "episode": notice.episode,
        "kind": str(notice.kind),
        "value": notice.value,
        "valueType": notice.value_type,
        "evidence": dict(notice.evidence),
        "ackURL": notice.ack_url,
    }


def _common(each: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them have, with the same text."""
    first, *rest = [*each] or [{}]
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in rest)}
