"""Groups: alerts that a receiver is told of together, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.ledger import GroupTimes
from monitor.alerting.routes import Destination, Route


@dataclass(slots=True)
class Group:
    """The alerts of one receiver that are told together.

    `key` and `after` as :class:`~monitor.alerting.routes.Destination`'s; `times` are kept in the ledger unless it is
    `alone`. `holds`: episodes whose news was held back, until a time or (None) until something changes. `due`: when the
    group is to be looked at again.
    """

    receiver: str
    key: str
    labels: Mapping[str, str]
    route: Route
    alone: bool
    times: GroupTimes
    after: int = 0
    episodes: dict[str, None] = field(default_factory=dict)
    holds: dict[str, int | None] = field(default_factory=dict)
    due: int | None = None

    @staticmethod
    def of(destination: Destination, times: GroupTimes) -> Group:
        """An empty group for what goes this way."""
        return Group(
            destination.receiver,
            destination.key,
            destination.labels,
            destination.route,
            destination.alone,
            times,
            destination.after,
        )

    @property
    def id(self) -> str:
        """Its name in the ledger: receivers' names have no slash."""
        return f"{self.receiver}/{self.key}"

    def set_back(self, now: int) -> None:
        """The clock shows `now`: nobody waits for a time that was never right, so what began later begins now."""
        self.times = GroupTimes(min(self.times.since, now), min(self.times.flushed_at, now))

    @property
    def ready_at(self) -> int:
        """When news can be told: the wait after the first alert, then the interval after the last message."""
        if self.alone:
            return 0
        if self.times.flushed_at:
            return self.times.flushed_at + self.route.group_interval
        return self.times.since + self.route.group_wait

    def decide(self, at: int) -> Decision:
        """Whether its time has come."""
        if at >= self.ready_at:
            return passes(Stage.GROUP, Reason.GROUP_READY, self.key)
        return stops(Stage.GROUP, Reason.GROUP_WAITS, self.key, until=self.ready_at)
