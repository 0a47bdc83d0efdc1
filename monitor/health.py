"""Conditions of the monitor itself, told as alerts are: a feed is down, the store is away, the rules are wrong.

A condition that clears within its grace period is nobody's business; one that somebody was told of is told resolved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from monitor import clock
from monitor.logs import SECRETS
from monitor.notify import values
from monitor.notify.message import Kind, Notification

STORE_DOWN: Final = "store-down"
FEED_DOWN: Final = "feed-down"
RULES_INVALID: Final = "rules-invalid"
RECEIVER_FAILING: Final = "receiver-failing"
ACTIONS_INVALID: Final = "corporate-actions-invalid"
RULE_SUSPENDED: Final = "rule-suspended"

GRACE: Final[Mapping[str, float]] = {STORE_DOWN: 10.0, FEED_DOWN: 60.0}
"""Seconds a condition lasts before anyone is told; 0 where it is not listed."""
SEVERITY: Final[Mapping[str, str]] = {STORE_DOWN: "critical", FEED_DOWN: "critical"}
"""``warning`` where it is not listed."""
_SECOND: Final = 1_000_000_000

_log = structlog.get_logger(__name__)

OnChange = Callable[[str, str, bool], None]
"""Hears of each condition at once: its name, what it is about, whether it holds."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something wrong. `since`: UTC ns; `due`: monotonic seconds at which it is told; `episode` is empty until then."""

    name: str
    reason: str
    since: int
    due: float
    labels: Mapping[str, str] = field(default_factory=dict)
    episode: str = ""

    @property
    def subject(self) -> str:
        """What it is about: the feed's or the receiver's name; empty where there is but one."""
        return ", ".join(self.labels.values())


class HealthBoard:
    """Which conditions hold, and what is to be told of them: :meth:`due` hands out each message once.

    `receivers` are told, except a receiver about itself. `grace`: seconds by name, as :data:`GRACE`. `now` is UTC
    nanoseconds, `monotonic` seconds. For one thread.
    """

    def __init__(
        self,
        receivers: Sequence[str],
        *,
        on_change: OnChange = lambda _name, _subject, _raised: None,
        grace: Mapping[str, float] = GRACE,
        now: Callable[[], int] = clock.wall_ns,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._receivers = tuple(receivers)
        self._on_change = on_change
        self._grace = grace
        self._now = now
        self._monotonic = monotonic
        self._conditions: dict[tuple[str, str], Condition] = {}
        self._numbers: dict[str, int] = {}
        self._over: list[Notification] = []

    def raise_(self, name: str, reason: str, *, labels: Mapping[str, str] | None = None, at_once: bool = False) -> None:
        """The condition holds, because of `reason`; raised again, only its reason is new.

        `labels` say what it is about, such as ``{"feed": "iex"}``. `at_once` skips what is left of the grace period.
        """
        # A service may repeat what it was sent, and a reason goes to the page, the API and into messages.
        reason = SECRETS.masked(reason)
        due = self._monotonic() + (0.0 if at_once else self._grace.get(name, 0.0))
        raised = Condition(name, reason, self._now(), due, dict(labels or {}))
        key = (name, raised.subject)
        known = self._conditions.get(key)
        if known is not None:
            self._conditions[key] = replace(known, reason=reason, due=min(due, known.due))
            return
        self._conditions[key] = raised
        _log.warning("problem", name=name, reason=reason, **raised.labels)
        self._on_change(name, raised.subject, True)  # noqa: FBT003 - a callback's one flag

    def clear(self, name: str, *, labels: Mapping[str, str] | None = None) -> None:
        """The condition does not hold (any more)."""
        condition = self._conditions.pop((name, ", ".join((labels or {}).values())), None)
        if condition is None:
            return
        _log.info("problem is over", name=name, lasted=values.span(self._now() - condition.since), **condition.labels)
        self._on_change(name, condition.subject, False)  # noqa: FBT003 - a callback's one flag
        if condition.episode:
            self._over += self._notifications(condition, Kind.RESOLVED)

    def due(self) -> list[Notification]:
        """What is to be told now: conditions that outlasted their grace period, and told ones that are over."""
        told, self._over = self._over, []
        for key, condition in list(self._conditions.items()):
            if not condition.episode and self._monotonic() >= condition.due:
                self._conditions[key] = replace(condition, episode=self._episode(condition))
                told += self._notifications(self._conditions[key], Kind.FIRING)
        return told

    def conditions(self) -> list[dict[str, Any]]:
        """What holds, oldest first: ``name``, ``reason``, ``since`` (RFC 3339), ``labels``, ``episode`` once told."""
        return [
            {
                "name": each.name,
                "reason": each.reason,
                "since": values.utc(each.since),
                "labels": dict(each.labels),
                "episode": each.episode or None,
            }
            for each in sorted(self._conditions.values(), key=lambda condition: condition.since)
        ]

    def _episode(self, condition: Condition) -> str:
        """``feed-down-iex-2026-01-23-54450``: its day, and the second of that day, UTC.

        The number differs from those of earlier runs of the daemon, since what was delivered is remembered under it.
        """
        moment = dt.datetime.fromtimestamp(condition.since // _SECOND, dt.UTC)
        base = "-".join((condition.name, *condition.labels.values(), moment.date().isoformat()))
        second = moment.hour * 3600 + moment.minute * 60 + moment.second
        self._numbers[base] = max(second, self._numbers.get(base, -1) + 1)
        return f"{base}-{self._numbers[base]}"

    def _notifications(self, condition: Condition, kind: Kind) -> list[Notification]:
        itself = condition.labels.get("receiver")
        about = f"{condition.name} ({condition.subject})" if condition.subject else condition.name
        now = self._now()
        after = values.span(now - condition.since)
        return [
            Notification(
                episode=condition.episode,
                kind=kind,
                sequence=1 if kind is Kind.FIRING else 2,
                receiver=receiver,
                alert=condition.name,
                member=condition.subject,
                severity=SEVERITY.get(condition.name, "warning"),
                at=now,
                started_at=condition.since,
                reason=condition.reason,
                value=None,
                value_type="condition",
                summary=f"{about}: {condition.reason}" if kind is Kind.FIRING else f"{about} is over after {after}",
                labels={"source": "monitor", **condition.labels},
            )
            for receiver in self._receivers
            if receiver != itself
        ]
