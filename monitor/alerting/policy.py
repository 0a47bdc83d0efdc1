"""What the configuration says about telling: the route tree, mute times, inhibitions, the receivers' limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.alerting.digests import Digest
from monitor.alerting.inhibition import Inhibition
from monitor.alerting.mute_times import MuteTimes
from monitor.alerting.routes import Route
from monitor.calendar import TradingCalendar


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a receiver can take.

    `max_per_minute`: messages; more are gathered into one. `flap_more_than`: how often an instance may fire within
    `flap_within` (ns) before it is told in a digest. None is no limit. `digest`: news is gathered. `tell_acks`: it is
    told who has acknowledged what it was told.
    """

    max_per_minute: int | None = None
    flap_more_than: int | None = None
    flap_within: int = 3_600_000_000_000
    digest: Digest | None = None
    tell_acks: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """See the module. Fixed while the dispatcher runs; a changed configuration makes another one."""

    route: Route
    calendar: TradingCalendar
    mute_times: MuteTimes
    inhibitions: Sequence[Inhibition] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    receivers: frozenset[str] | None = None
    """Those that there are; None where any name is one."""

    def has(self, receiver: str) -> bool:
        """Whether there is such a receiver."""
        return self.receivers is None or receiver in self.receivers

    def limits_of(self, receiver: str) -> Limits:
        """A receiver's limits; none where it has none."""
        return self.limits.get(receiver, Limits())


def told_at_once(receivers: Sequence[str], calendar: TradingCalendar) -> Policy:
    """Each alert is told to these receivers, at once and by itself."""
    return Policy(Route(receivers=tuple(receivers)), calendar, MuteTimes(calendar, {}))
