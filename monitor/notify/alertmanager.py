"""Alerts to other Alertmanagers: ``alertmanager://host:9093`` (``alertmanagers://`` for https).

An Alertmanager takes an alert for over when it has not heard of it for a while, so what fires is told
again (:mod:`monitor.alerting.keep_firing`) for as long as the receiver has not been told the end. If the monitor dies,
its alerts end there after :data:`LASTING`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from monitor import clock
from monitor.alerting.alert import ALERTNAME, SUMMARY
from monitor.notify.credentials import NONE, Credentials
from monitor.notify.http_client import HttpClient, NoAnswer
from monitor.notify.message import AlertNotice, Kind, Notification
from monitor.notify.redaction import redacted
from monitor.notify.sender import Delivery, Verdict, failure

SCHEMES: Final = {"alertmanager": "http", "alertmanagers": "https"}
RESEND: Final = 60.0
"""Seconds between two tellings of what fires."""
LASTING: Final = 5 * 60 * 1_000_000_000
"""Nanoseconds that an alert lasts there without being told again: four missed tellings are survived."""
_AT_ONCE: Final = 500
_SAID: Final = 300
_PATH: Final = "/api/v2/alerts"


def is_alertmanager(url: str) -> bool:
    """Whether an address of a receiver is one of these."""
    return url.partition(":")[0].lower() in SCHEMES


def validate(url: str) -> str | None:
    """What is wrong with the address, as one line without secrets; None if it can be used."""
    wrong = "not the address of an Alertmanager: write alertmanager://HOST:9093, or alertmanagers:// for https"
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return wrong
    except ValueError:
        return wrong
    return "an address of an Alertmanager has no ? or #" if parts.query or parts.fragment else None


class AlertmanagerSender:
    """Sends to one receiver's Alertmanagers. `deadline`: seconds an attempt may take.

    Those of a cluster tell each other, so a message is delivered once one of them has it; the others hear of it at the
    next telling. Raises ValueError with :func:`validate`'s text for an address that cannot be used.
    """

    def __init__(self, urls: Sequence[str], deadline: float = 30.0, credentials: Credentials = NONE) -> None:
        self._peers = [_Peer(url, deadline, credentials) for url in urls]

    @property
    def target(self) -> str:
        """Hosts, without secrets."""
        return ", ".join(peer.target for peer in self._peers)

    async def send(self, notification: Notification) -> Delivery:
        """Try once, at all of them at once."""
        return await self.tell(notification.notices)

    async def tell(self, notices: Iterable[AlertNotice]) -> Delivery:
        """Say of alerts that they fire, or are over."""
        alerts = [posted(notice, clock.wall_ns()) for notice in notices]
        parts = [alerts[start : start + _AT_ONCE] for start in range(0, len(alerts), _AT_ONCE)]
        outcomes = [await self._post(part) for part in parts]
        return next((each for each in outcomes if not each.delivered), outcomes[-1])

    async def _post(self, alerts: Sequence[Mapping[str, Any]]) -> Delivery:
        outcomes = await asyncio.gather(*(peer.post(alerts) for peer in self._peers))
        detail = "; ".join(each.detail for each in outcomes)
        if any(each.delivered for each in outcomes):
            return Delivery(Verdict.DELIVERED, detail)
        return failure(outcomes, detail)

    async def close(self) -> None:
        """Close the connections."""
        for peer in self._peers:
            await peer.close()


class _Peer:
    """One Alertmanager."""

    def __init__(self, url: str, deadline: float, credentials: Credentials) -> None:
        if wrong := validate(url):
            raise ValueError(wrong)
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        scheme = SCHEMES[parts.scheme.lower()]
        login = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
        self.target = f"Alertmanager {scheme}://{host}"
        self._url = f"{scheme}://{host}{parts.path.rstrip('/')}{_PATH}"
        self._client = HttpClient(deadline, login)
        self._credentials = credentials

    async def post(self, alerts: Sequence[Mapping[str, Any]]) -> Delivery:
        try:
            content = msgspec.json.encode(alerts)
            answer = await self._client.post(
                self._url, content, self._credentials.headers("", content, clock.wall_ns())
            )
        except NoAnswer as error:
            return Delivery(Verdict.TRANSIENT, f"{self.target}: {error}")
        if answer.verdict is Verdict.DELIVERED:
            return Delivery(Verdict.DELIVERED, f"{self.target}: accepted")
        text = " ".join(redacted([answer.text], self._credentials.secrets))[:_SAID]
        said = f"{self.target}: {answer.status} {text}".strip()
        return Delivery(answer.verdict, said, answer.retry_after)

    async def close(self) -> None:
        await self._client.close()


def posted(notice: AlertNotice, wall: int) -> dict[str, Any]:
    """An alert as Alertmanager is told of it, by the machine's clock (UTC ns). No time but the end is to come."""
    over = notice.kind is Kind.RESOLVED
    starts_at = min(notice.started_at, wall)
    ends_at = max(starts_at, min(notice.at, wall)) if over else wall + LASTING
    return {
        "labels": labels_of(notice),
        "annotations": annotations_of(notice),
        "startsAt": rfc3339(starts_at),
        "endsAt": rfc3339(ends_at),
    }


def labels_of(notice: AlertNotice) -> dict[str, str]:
    """All labels of an alert, its name and severity among them; Alertmanager knows no empty ones."""
    labels = {**notice.labels, ALERTNAME: notice.alert, "severity": notice.severity}
    return {name: text for name, text in labels.items() if text}


def annotations_of(notice: AlertNotice) -> dict[str, str]:
    """All annotations of an alert, its summary among them."""
    annotations = {**notice.annotations, SUMMARY: notice.summary}
    return {name: text for name, text in annotations.items() if text}


def rfc3339(ns: int) -> str:
    """A time (UTC ns) with all its nanoseconds: ``2026-01-23T15:07:30.000000000Z``."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
