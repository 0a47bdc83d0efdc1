"""Alerts, policies and a book, as the tests of the stages need them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from monitor.alerting.alert import Alert
from monitor.alerting.book import AlertBook
from monitor.alerting.matchers import parse
from monitor.alerting.policy import Policy, told_at_once
from monitor.alerting.routes import Route
from monitor.alerting.silences import Silence
from monitor.calendar import TradingCalendar

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
AT = 1_769_180_850 * SECOND  # 2026-01-23 10:07:30 New York, a Friday


@cache
def calendar() -> TradingCalendar:
    return TradingCalendar("XNYS")


def alert(name: str = "lead", member: str = "", number: int = 1, at: int = AT, **changes) -> Alert:
    """An alert that fires; `labels` are added to what every alert has."""
    labels = {"alertname": name, "severity": "warning", **changes.pop("labels", {})}
    if member:
        labels["member"] = member
    named = f"{name}:{member}" if member else name
    fired = Alert(
        labels=labels, episode=f"{named}@2026-01-23.{number}", starts_at=at, updated_at=at, at=at, summary="it fired"
    )
    return replace(fired, **changes)


def over(fired: Alert, at: int) -> Alert:
    return replace(fired, ends_at=at, at=at, summary="it is over")


def policy(route: Route | None = None, **parts) -> Policy:
    base = told_at_once(["desk"], calendar())
    return replace(base, route=route or base.route, **parts)


def silence(*matchers: str, starts_at: int = AT, ends_at: int = AT + HOUR, **changes) -> Silence:
    made = Silence(
        matchers=tuple(map(parse, matchers)), starts_at=starts_at, ends_at=ends_at, created_by="me", comment="busy"
    )
    return replace(made, **changes)


class Desk:
    """A book that has seen one evaluation, and what it has told so far."""

    def __init__(self, route: Route | None = None, *, exact: bool = True, **parts) -> None:
        self.policy = policy(route, **parts)
        self.exact = exact
        self.book = AlertBook(self.policy, exact=exact)
        self.book.evaluated()
        self.stored: dict[str, bytes] = {}
        self.messages = []
        self.verdicts = []

    def take(self, *alerts: Alert, at: int | None = None) -> None:
        """These alerts come at once, at their own time."""
        now = max(a.at for a in alerts) if at is None else at
        self.book.advance(now, now, before=True)
        for each in alerts:
            self.book.take(each, now)
        self.advance(now)

    def advance(self, at: int, wall: int | None = None) -> None:
        self.book.advance(at, at if wall is None else wall)
        written = self.book.written()
        for name, data in written.ledger.items():
            if data is None:
                self.stored.pop(name, None)
            else:
                self.stored[name] = data
        self.messages += written.messages
        self.verdicts += written.verdicts

    def restart(self) -> None:
        self.book = AlertBook(self.policy, exact=self.exact)
        self.book.load(self.stored)
        self.book.evaluated()

    def told(self) -> list[tuple[str, str, int, str]]:
        """(episode, kind, sequence, receiver) of all that was told, in order."""
        return [(n.episode, str(n.kind), n.sequence, m.receiver) for m in self.messages for n in m.notices]
