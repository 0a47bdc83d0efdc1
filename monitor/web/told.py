"""Alerts, silences and deliveries as the API shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor import queries
from monitor.alerting import verdict
from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert, fingerprint
from monitor.alerting.decision import Stage
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.ledger import Told
from monitor.alerting.matchers import matches
from monitor.alerting.silences import Silence
from monitor.notify.values import utc
from monitor.store.base import DECISIONS, TRANSITIONS, Store
from monitor.web import alert_answers as answers

_SECOND: Final = 1_000_000_000
_PAGE: Final = 1_000
_READ: Final = 200_000
"""Entries looked at for one page of an answer: what is older than those is reached by `before`."""


def parse_time(text: str) -> int:
    """RFC 3339 as UTC ns. Raises ValueError, with what to write, where it is none."""
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return int(moment.timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"`{text[:64]}` is no time with its zone: write 2026-01-23T15:00:00Z")


def acknowledgement(ack: Ack | None) -> answers.Acknowledgement | None:
    """Who took it on."""
    return None if ack is None else {"by": ack.by, "at": utc(ack.at), "comment": ack.comment}


def standing(dispatcher: Dispatcher, alert: Alert, wall: int) -> answers.Standing:
    """What keeps an open alert from being told, and who it goes to."""
    return {
        "source": str(alert.source),  # type: ignore[typeddict-item] # the enum's words
        "acknowledged": acknowledgement(dispatcher.acks.get(alert.episode)),
        "silenced_by": dispatcher.silences.of(alert.labels, wall),
        "inhibited_by": dispatcher.book.inhibitors(alert),
        "receivers": dispatcher.book.receivers(alert),
        "summary": alert.summary,
        "fingerprint": alert.fingerprint,
    }


def unheard(dispatcher: Dispatcher, labels: Mapping[str, str], wall: int) -> answers.Standing:
    """The same of one that does not fire: nobody is told of it, but a silence may already match."""
    return {
        "source": "rules",
        "acknowledged": None,
        "silenced_by": dispatcher.silences.of(labels, wall),
        "inhibited_by": [],
        "receivers": [],
        "summary": "",
        "fingerprint": fingerprint(labels),
    }


def unruled(alert: Alert) -> dict[str, Any]:
    """An alert that no rule made, in the shape of those of rules."""
    return {
        "alert": alert.name,
        "member": alert.member,
        "state": "firing",
        "episode": alert.episode,
        "since": utc(alert.starts_at),
        "severity": alert.severity,
        "labels": {k: v for k, v in alert.labels.items() if k not in ("alertname", "severity")},
        "value": alert.value,
        "value_type": alert.value_type,
        "threshold": None,
        "verdict": "",
        "flaps": 0,
    }


def told(receiver: str, last: Told) -> answers.Told:
    """What a receiver knows."""
    return {
        "receiver": receiver,
        "kind": str(last.kind),
        "sequence": last.sequence,
        "at": utc(last.at),
        "severity": last.severity,
        "due": None if last.due is None else utc(last.due),
    }


def decided(given: verdict.Verdict) -> answers.Verdict:
    """A verdict."""
    return {
        "episode": given.episode,
        "member": given.member,
        "receiver": given.receiver,
        "told": given.last.passed,
        "decisions": [
            {
                "stage": str(each.stage),
                "passed": each.passed,
                "reason": str(each.reason),
                "detail": each.detail,
                "until": None if each.until is None else utc(each.until),
            }
            for each in given.decisions
        ],
    }


def silence(given: Silence, wall: int, alerts: Sequence[Alert]) -> answers.Silence:
    """A silence."""
    return {
        "id": given.id,
        "state": str(given.state(wall)),  # type: ignore[typeddict-item] # the enum's words
        "matchers": [str(each) for each in given.matchers],
        "starts_at": utc(given.starts_at),
        "ends_at": utc(given.ends_at),
        "created_by": given.created_by,
        "comment": given.comment,
        "updated_at": utc(given.updated_at),
        "alerts": sum(matches(given.matchers, alert.labels) for alert in alerts),
    }


class History:
    """Stored transitions and deliveries, newest first, a page at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def transitions(
        self, limit: int, before: str, first: int, last: int, wanted: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Those of event times `first` to `last` (UTC ns) whose fields are as wanted."""
        found: list[dict[str, Any]] = []
        async for stream_id, fields in self._entries(TRANSITIONS, before, wanted):
            at = msgspec.json.decode(fields["transition"], type=_At).at
            if first <= at <= last:
                found.append({"id": stream_id, **queries.stored_transition(fields["transition"])})
            if len(found) == limit:
                break
        return found

    async def deliveries(
        self, limit: int, before: str, first: int, last: int, wanted: Mapping[str, str]
    ) -> list[answers.Delivery]:
        """What went to the outbox from `first` to `last` (UTC ns by the daemon's clock), and what became of it."""
        found: list[tuple[str, verdict.Verdict]] = []
        async for stream_id, fields in self._entries(DECISIONS, before, wanted):
            given = verdict.Verdict.decode(fields)
            if given.last.stage is Stage.OUTBOX and first <= given.at <= last:
                found.append((stream_id, given))
            if len(found) == limit:
                break
        outcomes = await self._store.notified(list({given.last.detail for _, given in found})) if found else {}
        return [_delivery(stream_id, given, outcomes.get(given.last.detail)) for stream_id, given in found]

    async def _entries(self, stream: str, before: str, wanted: Mapping[str, str]) -> Any:  # noqa: ANN401 - a generator
        fields_wanted = {name: text.encode() for name, text in wanted.items()}
        read = 0
        while read < _READ:
            page = await self._store.page(stream, before, _PAGE)
            for stream_id, fields in page:
                if all(fields.get(name) == text for name, text in fields_wanted.items()):
                    yield stream_id, fields
            if len(page) < _PAGE:
                return
            before, read = page[-1][0], read + len(page)


class _At(msgspec.Struct):
    at: int


def _delivery(stream_id: str, given: verdict.Verdict, outcome: bytes | None) -> answers.Delivery:
    became: dict[str, Any] = msgspec.json.decode(outcome) if outcome else {}
    reason = next((d.reason for d in given.decisions if d.stage is Stage.DEDUPLICATION), given.last.reason)
    return {
        "id": stream_id,
        "at": utc(given.at),
        "alert": given.alert,
        "member": given.member,
        "episode": given.episode,
        "receiver": given.receiver,
        "reason": str(reason),
        "key": given.last.detail,
        "outcome": became.get("outcome", "waiting"),
        "delivered_at": became.get("at"),
        "attempts": became.get("attempts"),
        "detail": became.get("detail", ""),
    }
