"""The book of open alerts: a deterministic function of what happened, the silences, the acknowledgements and the time.

It is given alerts (:meth:`AlertBook.take`) and times (:meth:`AlertBook.advance`), and says who is told what
(:meth:`AlertBook.written`). It knows no store and reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from monitor.alerting import ack_notes, flapping, rate_limit
from monitor.alerting.acknowledgement import Ack
from monitor.alerting.alert import Alert
from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.digests import gathered, without
from monitor.alerting.gathering import Groups
from monitor.alerting.groups import Group
from monitor.alerting.inhibition import Inhibitor
from monitor.alerting.ledger import Gathered, Ledger
from monitor.alerting.policy import Policy
from monitor.alerting.routes import Destination, addressed, destinations
from monitor.alerting.silences import Silences
from monitor.alerting.stages import Situation, decide, news
from monitor.alerting.telling import News, notices, repeat_schedule, set_back
from monitor.alerting.verdict import Verdict
from monitor.notify.compose import message
from monitor.notify.message import Kind, Notification

_DIGEST: Final = "digest"


@dataclass(frozen=True, slots=True)
class Written:
    """What a step of the book is to leave in the store: ledger fields, messages for the outbox, verdicts."""

    ledger: Mapping[str, bytes | None]
    messages: tuple[Notification, ...]
    verdicts: tuple[Verdict, ...]

    def __bool__(self) -> bool:
        return bool(self.ledger or self.messages or self.verdicts)


class AlertBook:
    """See the module.

    `exact`: times are the data's (``clock: event``), so whatever falls due is told at that very time, however late the
    book hears that it has passed. Otherwise it is told at the time at which the book hears of it.
    """

    def __init__(self, policy: Policy, *, exact: bool) -> None:
        self._policy, self._exact = policy, exact
        self.ledger = Ledger()
        self._inhibitor = Inhibitor(policy.inhibitions)
        self._situation = Situation(policy, self.ledger, Silences(), {}, self._inhibitor, evaluated=False)
        self._groups = Groups(self.ledger)
        self._over_limit: dict[str, dict[str, None]] = {}
        self._messages: list[Notification] = []
        self._verdicts: list[Verdict] = []
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        """The last one of each open alert and receiver."""
        self.expiring: dict[str, None] = {}
        """Episodes that end by themselves unless they are posted again."""

    def load(self, fields: Mapping[str, bytes]) -> set[str]:
        """Take up the ledger of the last process. Alerts go where the configuration of today leads them.

        Returns who was told of alerts and is no receiver any more: nobody can tell them how it goes on.
        """
        self.ledger.load(fields)
        self._situation.at = self.ledger.clock
        gone = self.ledger.forget_receivers(self._policy.has)
        for alert in self.ledger.alerts.values():
            if alert.open:
                self._opened(alert)
            self._groups.join(alert.episode, self._destinations(alert), alert.updated_at)
        self._groups.forget_unused()
        for alert in [*self.ledger.alerts.values()] if gone else ():
            self._let_go(alert)
        self._groups.look_again(self._situation.at, self._due)
        return gone

    # --- what people and the monitor say ------------------------------------------------------------------------------

    @property
    def is_evaluated(self) -> bool:
        """Whether the rules have been evaluated since the start."""
        return self._situation.evaluated

    def evaluated(self) -> None:
        """The rules have been evaluated since the start: from now on people are told."""
        if not self._situation.evaluated:
            self._situation.evaluated = True
            self.wake()

    def hear(self, silences: Silences, acks: Mapping[str, Ack]) -> None:
        """Take note of silences and acknowledgements."""
        self._situation.silences, self._situation.acks = silences, acks
        for episode, receiver, told, note in [*ack_notes.due(self.ledger, acks, self._policy, self._situation.at)]:
            self.ledger.tell(episode, receiver, told)
            self._messages.append(note)
        self.wake()

    def wake(self) -> None:
        """Ask again about everything that was held back."""
        self._groups.wake()

    # --- alerts -------------------------------------------------------------------------------------------------------

    def take(self, alert: Alert, at: int) -> None:
        """An alert fires, has changed, or (`ends_at`) is over. One that is over and was not known is passed over."""
        known = self.ledger.alerts.get(alert.episode)
        if alert.open:
            self.ledger.keep(alert)
            self._opened(alert)
            for group in self._groups.of(alert.episode):  # changed, it may be told after all
                group.holds.pop(alert.episode, None)
            way = self._destinations(alert)
            if known is None:
                for each in way:
                    if not each.after:
                        self._count_flap(alert, each.receiver, at)
            self._groups.join(alert.episode, way, at)
        elif known is not None and known.open:
            self._end(known, alert)

    def _opened(self, alert: Alert) -> None:
        self._inhibitor.opened(alert)
        if alert.expires_at is not None:
            self.expiring[alert.episode] = None

    def _end(self, known: Alert, over: Alert) -> None:
        """Labels are those it fired with: where they led, the end is told, whatever has become of its rule."""
        alert = replace(over, labels=known.labels, notify=known.notify, repeat=known.repeat, escalate=known.escalate)
        self.expiring.pop(alert.episode, None)
        if self._inhibitor.ended(alert.episode):
            self.wake()
        self.ledger.keep(alert)
        for group in self._groups.of(alert.episode):
            group.holds.pop(alert.episode, None)
            self._groups.touch(group)
        self._let_go(alert)

    def _destinations(self, alert: Alert) -> list[Destination]:
        """Where it goes by its labels, and whoever was told of it, by whatever way there is now."""
        way = destinations(self._policy.route, addressed(alert, self._policy.has))
        missing = self.ledger.told.get(alert.episode, {}).keys() - {each.receiver for each in way}
        direct = replace(self._policy.route, group_by=None)
        return [*way, *(Destination(r, direct, alert.episode, alert.labels) for r in sorted(missing))]

    def _let_go(self, alert: Alert) -> None:
        """Forget an alert that is over once nobody has to be told so."""
        if alert.open or alert.episode not in self.ledger.alerts:
            return
        told = self.ledger.told.get(alert.episode, {})
        if any(each.kind is Kind.FIRING for each in told.values()):
            return
        if any(self._situation.awaited(alert, group.receiver) for group in self._groups.of(alert.episode)):
            return
        for group in self._groups.leave(alert.episode):
            self.verdicts.pop((alert.episode, group.receiver), None)
        self.ledger.forget(alert.episode)

    def _count_flap(self, alert: Alert, receiver: str, at: int) -> None:
        limits = self._policy.limits_of(receiver)
        if limits.flap_more_than is None:
            return
        key = flapping.key(receiver, alert)
        before = self.ledger.flaps.get(key)
        self.ledger.count_flaps(key, flapping.fired(before, alert, limits, at))
        if before is not None and before.episode in self.ledger.alerts:
            self._let_go(self.ledger.alerts[before.episode])

    # --- time ---------------------------------------------------------------------------------------------------------

    def advance(self, at: int, wall: int, *, before: bool = False) -> None:
        """Tell what falls due up to `at` (with `before`: earlier than that), UTC ns by the daemon's clock.

        `wall` is the machine's clock, which silences follow.
        """
        situation = self._situation
        situation.wall = wall
        if self._exact:
            at = max(at, situation.at)
        elif at < situation.at:
            situation.at = at
            self._set_back(at)
        end = at - 1 if before else at
        # What has changed is looked at before what comes now, which may end it: it is told for the time it changed.
        self._groups.look_again(min(situation.at, end) if before else at, self._due)
        while (next_one := self._groups.pop_due(end)) is not None:
            due, group = next_one
            situation.at = due if self._exact else at
            self._flush(group)
            self._groups.look_again(situation.at, self._due)
        situation.at = end

    def _set_back(self, at: int) -> None:
        """The clock was set back to `at`: nobody waits for a time that was never right."""
        for receiver, kept in list(self.ledger.digests.items()):
            if (digest := self._policy.limits_of(receiver).digest) is not None:
                self.ledger.gather(receiver, replace(kept, due=min(kept.due, digest.due(at, self._policy.calendar))))
        for key, flaps in list(self.ledger.flaps.items()):
            latest = at + self._policy.limits_of(key.partition("/")[0]).flap_within
            if flaps.due > latest:
                self.ledger.count_flaps(key, replace(flaps, due=latest))
        for group in self._groups.by_id.values():
            for episode in group.episodes:
                told = self.ledger.told.get(episode, {}).get(group.receiver)
                if told is not None and told.at > at:
                    schedule = repeat_schedule(self.ledger.alerts[episode], group)
                    self.ledger.tell(episode, group.receiver, set_back(told, schedule, at, self._policy.calendar))
        self._groups.set_back(at)

    def next_due(self) -> int | None:
        """When something falls due next by the daemon's clock; None where nothing will without news."""
        return self._groups.next_due()

    def _due(self, group: Group, now: int) -> int | None:
        """When the group's first news can be told; None where there is none, or it waits for a change."""
        times: list[int] = []
        ready = group.ready_at
        for episode in group.episodes:
            held = group.holds.get(episode, 0)
            if held is None:
                continue
            decision = news(self.ledger.alerts[episode], group, self._situation, now)
            if decision.passed:
                times.append(max(ready, held))
            elif decision.until is not None:
                times.append(max(ready, held, decision.until))
        return min(times, default=None)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _flush(self, group: Group) -> None:
        """Tell a group's news, with whatever the receiver's limit has kept back; or keep it back."""
        found = self._collect(group)
        receiver, at = group.receiver, self._situation.at
        digest = self.ledger.digests.get(receiver)
        if digest is not None and at >= digest.due:
            found += self._rest_of_digest(group, digest, found)
            self._tell(receiver, found)
            return
        if not found:
            return
        free_at = rate_limit.free_at(self._policy.limits_of(receiver), self.ledger.sent.get(receiver, ()), at)
        if free_at is not None:
            self._over_limit.setdefault(receiver, {})[group.id] = None
            for each in found:
                group.holds[each.alert.episode] = free_at
                stop = stops(Stage.RATE_LIMIT, Reason.OVER_LIMIT, until=free_at)
                self._note(each.alert, group, (*each.decisions, stop))
            return
        for group_id in self._over_limit.pop(receiver, {}):
            kept = self._groups.by_id.get(group_id)
            if kept is not None and kept is not group:
                kept.holds.clear()
                found += self._collect(kept)
        self._tell(receiver, found)

    def _rest_of_digest(self, first: Group, kept: Gathered, found: list[News]) -> list[News]:
        """What the other groups have for a digest that is due."""
        rest: list[News] = []
        for group in self._groups.by_id.values():
            if group.receiver == first.receiver and group is not first:
                group.holds.clear()
                rest += self._collect(group)
        told = {each.alert.episode for each in (*found, *rest)}
        left = (e for e in kept.episodes if e not in told and e in self.ledger.alerts)
        late = tuple(e for e in left if not self.ledger.alerts[e].open)
        self.ledger.gather(first.receiver, Gathered(kept.due, late) if late else None)
        return rest

    def _collect(self, group: Group) -> list[News]:
        """What the group's receiver is to be told now; the rest of the news is held back."""
        found: list[News] = []
        at = self._situation.at
        for episode in group.episodes:
            alert = self.ledger.alerts[episode]
            if not news(alert, group, self._situation, at).passed:
                continue
            decisions = tuple(decide(alert, group, self._situation))
            last = decisions[-1]
            if last.passed:
                group.holds.pop(episode, None)
                found.append(News(alert, group, decisions))
            else:
                if last.stage is Stage.DIGEST and last.until is not None:
                    before = self.ledger.digests.get(group.receiver)
                    self.ledger.gather(group.receiver, gathered(before, [alert], last.until))
                group.holds[episode] = None if last.until is None else max(last.until, at + 1)
                self._note(alert, group, decisions)
        self._groups.touch(group)
        return found

    def _tell(self, receiver: str, found: list[News]) -> None:
        if not found:
            return
        # One whose severity rose may be in two of the receiver's groups.
        found = list({each.alert.episode: each for each in found}.values())
        if (kept := self.ledger.digests.get(receiver)) is not None:
            self.ledger.gather(receiver, without(kept, {each.alert.episode for each in found}))
        at = self._situation.at
        told_now = [notice for each in found for notice in notices(each, receiver, self._situation)]
        groups = {each.group.id: each.group for each in found}
        for group in groups.values():
            self._groups.told(group, at)
        only = found[0].group if len(groups) == 1 else None
        if only is None:
            told = message(receiver, told_now, group_key=f"{_DIGEST}/{receiver}")
        elif only.alone:
            told = message(receiver, told_now)
        else:
            told = message(receiver, told_now, group_key=only.id, group_labels=only.labels)
        self._messages.append(told)
        if self._policy.limits_of(receiver).max_per_minute is not None:
            self.ledger.count_sent(receiver, rate_limit.sent(self.ledger.sent.get(receiver, ()), at))
        for each in found:
            passed = (passes(Stage.RATE_LIMIT, Reason.WITHIN_LIMIT), passes(Stage.OUTBOX, Reason.TOLD, told.key))
            self._note(each.alert, each.group, (*each.decisions, *passed))
            self._let_escalate(each.alert)
            self._let_go(each.alert)

    def _let_escalate(self, alert: Alert) -> None:
        """Somebody was told: from now on the time of those counts who are told if nobody answers."""
        for group in self._groups.of(alert.episode):
            if group.after and group.holds.get(alert.episode, 0) is None:
                group.holds.pop(alert.episode)
                self._groups.touch(group)

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _note(self, alert: Alert, group: Group, decisions: tuple[Decision, ...]) -> None:
        """Keep a verdict; one that says what the last one said is no news."""
        key = (alert.episode, group.receiver)
        verdict = Verdict(self._situation.at, alert.episode, alert.name, alert.member, group.receiver, decisions)
        before = self.verdicts.get(key)
        self.verdicts[key] = verdict
        last = verdict.last
        if last.passed or before is None or (before.last.reason, before.last.detail) != (last.reason, last.detail):
            self._verdicts.append(verdict)

    def say(self, notes: Sequence[Notification], day: str) -> None:
        """Tell the heartbeat of a date; once it is noted, no later process says it again."""
        self.ledger.beat(day)
        self._messages += notes

    def written(self) -> Written:
        """Everything since the last call."""
        messages, self._messages = tuple(self._messages), []
        verdicts, self._verdicts = tuple(self._verdicts), []
        return Written(self.ledger.changes(self._situation.at), messages, verdicts)

    # --- what people ask ----------------------------------------------------------------------------------------------

    def alerts(self) -> list[Alert]:
        """Every alert that fires."""
        return [alert for alert in self.ledger.alerts.values() if alert.open]

    @property
    def groups(self) -> Mapping[str, Group]:
        """The groups that alerts are in, by id."""
        return self._groups.by_id

    def receivers(self, alert: Alert) -> list[str]:
        """Who an alert goes to."""
        return list(dict.fromkeys(group.receiver for group in self.groups_of(alert)))

    def groups_of(self, alert: Alert) -> list[Group]:
        """The groups an alert is told in."""
        return self._groups.of(alert.episode)

    def inhibitors(self, alert: Alert) -> list[str]:
        """Fingerprints of the alerts that inhibit one."""
        return self._inhibitor.inhibitors(alert)

    def explain(self, rule: str, at: int, wall: int) -> list[Verdict]:
        """What every stage would decide now of each open alert of a rule, a receiver each. Changes nothing."""
        now = replace(self._situation, at=max(at, self._situation.at) if self._exact else at, wall=wall)
        return [
            Verdict(now.at, a.episode, a.name, a.member, g.receiver, tuple(decide(a, g, now)))
            for a in self.ledger.alerts.values()
            if a.name == rule
            for g in self._groups.of(a.episode)
        ]
