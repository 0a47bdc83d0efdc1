"""Transitions and notifications as the engine makes them, a scripted sender, and waiting for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from monitor.alerting.alert import of_transition
from monitor.notify.compose import OnTemplateError, describe, message
from monitor.notify.message import Kind, Notification
from monitor.notify.sender import Delivery, Verdict
from monitor.store.base import Dispatch, JournalId
from rules.transition import Evidence, Reason, State, Transition

AT = 1_769_180_850_000_000_000  # 2026-01-23 10:07:30 New York

EVIDENCE = Evidence(
    expressions=(
        {"expr": "excess(IWM, SPY, 1d) < -100bp", "value": 1.0, "type": "condition"},
        {"expr": "excess(IWM, SPY, 1d)", "value": -0.0104, "type": "ratio"},
    ),
    prices={"IWM": {"price": 266.125, "ts": AT - 1_000_000_000}, "SPY": {"price": 689.2, "ts": AT}},
    threshold={
        "expr": "excess(IWM, SPY, 1d)",
        "value": -0.0104,
        "op": "<",
        "level": -0.01,
        "distance": 0.0004,
        "type": "ratio",
    },
)


def transition(**changes) -> Transition:
    fired = Transition(
        at=AT,
        alert="small-caps-turn",
        member="",
        old=State.PENDING,
        new=State.FIRING,
        reason=Reason.HELD_LONG_ENOUGH,
        episode="small-caps-turn-2026-01-23-1",
        started_at=AT - 600_000_000_000,
        value=-0.0104,
        value_type="ratio",
        severity="warning",
        labels={"theme": "size", "desk": "equities"},
        annotations={},
        evidence=EVIDENCE,
    )
    return replace(fired, **changes)


def compose(
    transition: Transition, receivers: Sequence[str], *, on_error: OnTemplateError | None = None
) -> list[Notification]:
    """What receivers who are told of everything at once are told of a transition."""
    notice = describe(transition, on_error=on_error)
    if notice is None:
        return []
    alert = of_transition(transition, notice, transition.at)
    told = alert.notice(notice.kind, 1 if notice.kind is Kind.FIRING else 2)
    return [message(receiver, [told]) for receiver in receivers]


def notification(
    episode: str = "small-caps-turn-2026-01-23-1", kind: Kind = Kind.FIRING, receiver: str = "desk", **changes
):
    told = Notification(
        episode=episode,
        kind=kind,
        sequence=1 if kind is Kind.FIRING else 2,
        receiver=receiver,
        alert="small-caps-turn",
        member="",
        severity="warning",
        at=AT,
        started_at=AT - 600_000_000_000,
        reason="held long enough",
        value=-0.0104,
        value_type="ratio",
        summary="small-caps-turn fired",
    )
    return replace(told, **changes)


@dataclass
class ScriptedSender:
    """Answers from `script` in turn, then delivers; `gate`, where set, holds every answer back."""

    script: list[Delivery | Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    target: str = "scripted"
    attempts: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    closed: bool = False

    async def send(self, notification: Notification) -> Delivery:
        self.attempts.append(notification.key)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            answer = self.script.pop(0) if self.script else Delivery(Verdict.DELIVERED, "scripted: ok")
        finally:
            self.under_way -= 1
        if isinstance(answer, Exception):
            raise answer
        if answer.delivered:
            self.delivered.append(notification.key)
        return answer

    async def close(self) -> None:
        self.closed = True


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return when the condition holds; fail if it does not within the time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions of tests set no event
            await asyncio.sleep(0.002)


def asked(*notifications: Notification, number: int = 1) -> Dispatch:
    """A step of the dispatcher that puts these notifications into the outbox."""
    return Dispatch(JournalId(number, 0), outbox=[n.encode() for n in notifications])
