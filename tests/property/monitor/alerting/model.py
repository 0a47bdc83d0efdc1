"""The model: who may be told what and who must have been, from what people and instances did and who was told before.

It asks neither the book nor its stages. Times are UTC ns of one clock, which can be set back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
from monitor.alerting.silences import Silence
from rules.ruleset import Hours
from tests.unit.monitor.alerting.samples import HOUR, MINUTE, SECOND, calendar

SCHEDULE = dict.fromkeys(("desk", "boss", "chief"), (15 * MINUTE, HOUR, None)) | {"calm": (10 * MINUTE,)}
"""When a receiver is told again: ns, None is the next open, the last for ever. Who is not here is told once."""
WAITS = {"boss": 15 * MINUTE, "chief": HOUR}
"""Who is told only where nobody has answered, so long after the first."""
AT_ONCE = ("desk", "boss", "chief")
"""Receivers that nothing keeps waiting: no group, no limit, no digest."""
SILENT = {"daily", "quarterly"}
"""Receivers that are not told who has acknowledged what."""
GROUP_WAIT, GROUP_INTERVAL, DIGEST = 30 * SECOND, MINUTE, 15 * MINUTE
PER_MINUTE, FLAPS = 2, 3


@dataclass(frozen=True)
class Known:
    """What a receiver was last told of an episode, and when; `due`: when again, after `repeats` repeats."""

    kind: str = ""
    severity: str = ""
    repeats: int = 0
    due: int | None = None
    at: int = 0


@dataclass
class Model:
    """See the module. The machine moves `now`, `open`, `silences` and `acks`; `known` follows what is told."""

    now: int
    open: dict[str, Alert] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)
    acks: dict[str, Ack] = field(default_factory=dict)
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    fired: dict[str, int] = field(default_factory=dict)
    times: dict[str, list[int]] = field(default_factory=dict)
    flaps_since: dict[str, int] = field(default_factory=dict)
    mailed: dict[str, int] = field(default_factory=dict)
    calm: list[int] = field(default_factory=list)
    digest: int | None = None
    latest: int = 0

    def set_back(self, now: int) -> None:
        """The clock shows an earlier time: nobody waits for one that was never right."""
        self.now = now
        self.mailed = {name: min(at, now) for name, at in self.mailed.items()}
        self.digest = None if self.digest is None else min(self.digest, now)
        self.first = {episode: min(at, now) for episode, at in self.first.items()}
        self.flaps_since = {name: min(at, now) for name, at in self.flaps_since.items()}
        for (episode, who), known in self.known.items():
            if known.due is not None and known.at > now:
                self.known[episode, who] = replace(known, at=now, due=self.again(who, known.repeats, now))

    @staticmethod
    def again(who: str, repeats: int, since: int) -> int | None:
        """When a receiver is told again after so many repeats, UTC ns."""
        schedule = SCHEDULE.get(who, ())
        interval = schedule[min(repeats, len(schedule) - 1)] if schedule else 0
        return None if not schedule else calendar().open_after(since) if interval is None else since + interval

    def of(self, episode: str, who: str) -> Known:
        return self.known.get((episode, who), Known())

    def suppressed(self, alert: Alert, who: str) -> str:
        """Why a receiver may not be told that an alert fires, whatever it knows; empty where it may."""
        name, known = alert.name, self.of(alert.episode, who)
        if any(s.matchers[0].value == name and s.starts_at <= self.now < s.ends_at for s in self.silences):
            return "silenced"
        if name == "B" and "A" in self.open:
            return "inhibited"
        if who in AT_ONCE and not calendar().is_open(self.now, Hours.EXTENDED):
            return "muted"
        if alert.episode in self.acks and not (known.kind and self.is_worse(alert, known)):
            return "acknowledged"
        return ""

    @staticmethod
    def is_worse(alert: Alert, known: Known) -> bool:
        return known.severity == "warning" and alert.severity == "critical"

    # --- what may be told ---------------------------------------------------------------------------------------------

    def hear(self, message) -> None:
        """A message was told now: it must be one that may be."""
        who = message.receiver
        if all(notice.kind == "note" for notice in message.notices):
            assert who not in SILENT
            assert all(self.of(n.episode, who).kind == "firing" for n in message.notices)
            return
        if who == "calm":
            self.calm = [*(t for t in self.calm if self.now - MINUTE < t <= self.now), self.now]
            assert len(self.calm) <= PER_MINUTE, "more messages a minute than the receiver takes"
        if who == "quarterly" and all(n.severity == "warning" for n in message.notices):
            assert self.digest is None or self.now >= self.digest + DIGEST, "a digest before its time"
            self.digest = self.now
        for name in {n.alert for n in message.notices} if who == "mail" else ():
            assert self.now >= self.mailed[name] + GROUP_WAIT, "a group told before its time"
            self.mailed[name] = self.now
        open_now = {alert.episode: alert for alert in self.open.values()}
        for notice in message.notices:
            if notice.kind == "firing":
                self._fires(notice, who, open_now.get(notice.episode))
            else:
                assert self.of(notice.episode, who).kind == "firing", "resolved, of which it was not told that it fires"
                assert notice.episode not in open_now, "resolved while it fires"
                self.known[notice.episode, who] = Known("resolved", notice.severity)

    def _fires(self, notice, who: str, alert: Alert | None) -> None:
        known = self.of(notice.episode, who)
        assert known.kind in {"", "firing"}, "fires after it was told to be over"
        assert alert or not known.kind, "over, and told again that it fires"
        if alert:
            assert not self.suppressed(alert, who), (self.suppressed(alert, who), who)
        if who in WAITS:
            assert self.first[notice.episode] <= max(self.now, self.latest) - WAITS[who], "escalated too early"
        again = bool(known.kind) and not (alert and self.is_worse(alert, known))
        if again:
            assert known.due is not None, "told twice"
            assert self.now >= known.due, "a repeat before its time"
        elif who == "calm" and not known.kind and notice.severity == "warning" and "flapped" not in notice.summary:
            assert self.fired[notice.episode] <= FLAPS, "it flaps, and is told by itself"
        elif "flapped" in notice.summary:
            assert self.now >= self.flaps_since.pop(notice.alert) + HOUR, "a digest of flapping before its time"
        since = known.due if again and self.now - known.due < MINUTE else self.now
        repeats = known.repeats + 1 if again else 0
        due = self.again(who, repeats, since)
        self.known[notice.episode, who] = Known("firing", notice.severity, repeats, due, self.now)
        if not known.kind:  # a clock that was set back may give a later telling an earlier time
            self.first[notice.episode] = min(self.first.get(notice.episode, self.now), self.now)

    # --- what must have been told -------------------------------------------------------------------------------------

    def missing(self) -> list[tuple[str, str, str]]:
        """Who should know something by now and does not: (episode, receiver, what)."""
        found = []
        for who in AT_ONCE:
            for alert in self.open.values():
                known = self.of(alert.episode, who)
                early = who in WAITS and self.first.get(alert.episode, self.now) > self.now - WAITS[who]
                due = known.due is not None and self.now >= known.due
                wanted = not known.kind or self.is_worse(alert, known) or due
                if wanted and not early and not self.suppressed(alert, who):
                    found.append((alert.episode, who, "firing"))
        open_now = {alert.episode for alert in self.open.values()}
        for (episode, who), known in self.known.items():
            if known.kind == "firing" and episode not in open_now:
                name = episode.partition("@")[0]
                if who in AT_ONCE or (who == "mail" and self.now >= self.mailed[name] + GROUP_INTERVAL):
                    found.append((episode, who, "resolved"))
        return found

    # --- what instances do --------------------------------------------------------------------------------------------

    def fires(self, alert: Alert) -> None:
        """An instance fires: the beginning of its group, and one more time in the last hour."""
        self.open[alert.name] = alert
        self.mailed.setdefault(alert.name, self.now)
        times = [t for t in self.times.get(alert.name, ()) if self.now - HOUR < t <= self.now]
        self.times[alert.name] = [*times, self.now]
        self.fired[alert.episode] = len(times) + 1
        if len(times) >= FLAPS:
            self.flaps_since.setdefault(alert.name, self.now)

    def gets_worse(self, name: str) -> None:
        self.open[name] = replace(self.open[name], labels={**self.open[name].labels, "severity": "critical"})
