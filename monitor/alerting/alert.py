"""An alert as people are told of it: an episode of a rule's instance, a condition of the monitor, another's post."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from monitor.notify.compose import Notice
from monitor.notify.message import AlertNotice, Kind, Notification
from rules.transition import Transition

ALERTNAME: Final = "alertname"
SUMMARY: Final = "summary"
_SEVERITIES: Final = {"info": 1, "warning": 2, "critical": 3}
_FNV_OFFSET: Final = 14_695_981_039_346_656_037
_FNV_PRIME: Final = 1_099_511_628_211
_SEPARATOR: Final = b"\xff"


class Source(StrEnum):
    """Where an alert comes from."""

    RULES = "rules"
    HEALTH = "health"
    EXTERNAL = "external"
    """Posted by another program through the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode.

    `starts_at`, `ends_at` (None while it fires), `updated_at` and `at` (of the last transition) are UTC ns: event time
    for `rules`, the machine's clock for the others. `expires_at`: when an external alert ends unless posted again.
    `summary` (one line) and `annotations` are rendered; annotations of another's alert are as posted. `notify` and
    `repeat` and `escalate`: the rule's own, which override the route's.
    """

    labels: Mapping[str, str]
    episode: str
    starts_at: int
    updated_at: int
    at: int
    source: Source = Source.RULES
    ends_at: int | None = None
    expires_at: int | None = None
    generator_url: str = ""
    reason: str = ""
    value: float | None = None
    value_type: str = ""
    summary: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    notify: tuple[str, ...] | None = None
    repeat: tuple[str, ...] | None = None
    escalate: tuple[tuple[int, tuple[str, ...]], ...] | None = None

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.labels.get(ALERTNAME, "")

    @property
    def member(self) -> str:
        """The member of the universe it is about; for a condition of the monitor, the feed or the receiver."""
        if self.source is Source.HEALTH:
            return self.labels.get("feed") or self.labels.get("receiver") or ""
        return self.labels.get("member", "")

    @property
    def severity(self) -> str:
        """``info``, ``warning`` or ``critical``; another's alert may have any, or none."""
        return self.labels.get("severity", "")

    @property
    def open(self) -> bool:
        """Whether it fires."""
        return self.ends_at is None

    @property
    def fingerprint(self) -> str:
        """What Alertmanager calls it: sixteen hexadecimal digits of its labels."""
        return fingerprint(self.labels)

    def notice(self, kind: Kind, sequence: int) -> AlertNotice:
        """What a receiver is told of it."""
        return AlertNotice(
            episode=self.episode,
            kind=kind,
            sequence=sequence,
            alert=self.name,
            member=self.member,
            severity=self.severity,
            at=self.at,
            started_at=self.starts_at,
            reason=self.reason,
            value=self.value,
            value_type=self.value_type,
            summary=self.summary,
            labels={name: text for name, text in self.labels.items() if name not in (ALERTNAME, "severity")},
            annotations={name: text for name, text in self.annotations.items() if name != SUMMARY},
            evidence=self.evidence,
        )


def of_condition(note: Notification) -> Alert:
    """The alert that a message of the monitor's own health tells of."""
    return Alert(
        labels={**note.labels, ALERTNAME: note.alert, "severity": note.severity},
        episode=note.episode,
        starts_at=note.started_at,
        ends_at=note.at if note.kind is Kind.RESOLVED else None,
        updated_at=note.at,
        at=note.at,
        source=Source.HEALTH,
        reason=note.reason,
        value_type=note.value_type,
        summary=note.summary,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An alert as another program posts it. Times are UTC ns by the machine's clock; None is not given."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: int | None = None
    ends_at: int | None = None
    generator_url: str = ""


def of_post(posted: Posted, known: Alert | None, wall: int, lasting: int) -> Alert:
    """The alert that a post opens, goes on with (`known`, open, of the same labels) or ends.

    Without an end it expires `lasting` ns from now, unless it is posted again.
    """
    over = posted.ends_at is not None and posted.ends_at <= wall
    given = posted.starts_at or (posted.ends_at if over else None)
    starts_at = min(known.starts_at, given or known.starts_at) if known else given or wall
    name = posted.labels.get(ALERTNAME, "")
    summary = posted.annotations.get(SUMMARY) or posted.annotations.get("description") or f"{name} was posted"
    return Alert(
        labels=dict(posted.labels),
        episode=known.episode if known else f"{name}@{fingerprint(posted.labels)}.{starts_at // 1_000_000}",
        starts_at=starts_at,
        ends_at=posted.ends_at if over else None,
        expires_at=None if over else posted.ends_at or wall + lasting,
        updated_at=wall,
        at=wall,
        source=Source.EXTERNAL,
        reason="posted",
        summary=" ".join(summary.split()),
        annotations=dict(posted.annotations),
        generator_url=posted.generator_url,
    )


def rank(severity: str) -> int:
    """How much a severity weighs: 3 is critical; 0 is one we do not know."""
    return _SEVERITIES.get(severity, 0)


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a, 64 bits, over names and values in the order of the names, each followed by the byte 255.

    As `labelSetToFingerprint` of prometheus/common, so that other programs name the same alert the same.

    Examples:
        >>> fingerprint({})
        'cbf29ce484222325'
    """
    return _fingerprint(tuple(sorted(labels.items())))


@lru_cache(maxsize=20_000)  # asked for each alert by each reader of the API; a byte at a time is slow in Python
def _fingerprint(labels: tuple[tuple[str, str], ...]) -> str:
    text = b"".join(part for name, value in labels for part in (name.encode(), _SEPARATOR, value.encode(), _SEPARATOR))
    value = _FNV_OFFSET
    for byte in text:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
    return f"{value:016x}"


def of_transition(transition: Transition, notice: Notice, now: int) -> Alert:
    """The alert that a transition opens or ends; `now` is when it was heard of."""
    return Alert(
        labels={**transition.labels, ALERTNAME: transition.alert, "severity": transition.severity}
        | ({"member": transition.member} if transition.member else {}),
        episode=transition.episode,
        starts_at=transition.started_at,
        ends_at=transition.at if notice.kind is Kind.RESOLVED else None,
        updated_at=now,
        at=transition.at,
        reason=str(transition.reason),
        value=notice.value,
        value_type=transition.value_type,
        summary=notice.summary,
        annotations=notice.annotations,
        evidence=notice.evidence,
        notify=notice.notify,
        repeat=notice.repeat,
        escalate=notice.escalate,
    )
