"""Decides who is told, as one task of the leader: committed transitions in, outbox entries out, each step durable.

It reads the transitions after its own cursor, from memory when they have just been committed, from the store after a
start. Each step is one call of :meth:`Store.dispatch`: outbox, ledger, cursor and decisions together. So a crash
anywhere loses nothing and tells nothing twice.

Two clocks: what it sends follows the daemon's clock (event time with ``clock: event``, so a replay tells what it would
have told then); silences, acknowledgements and the ends of other programs' alerts are people's, and follow the
machine's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from monitor import clock
from monitor.alerting.acknowledgement import Ack, UnknownEpisode
from monitor.alerting.alert import Alert, Posted, Source, fingerprint, of_post, of_transition
from monitor.alerting.book import AlertBook, Written
from monitor.alerting.committed import Committed, read_back
from monitor.alerting.policy import Policy
from monitor.alerting.said import Said
from monitor.alerting.silences import Silence, Silences
from monitor.alerting.verdict import Verdict
from monitor.fault_points import fault
from monitor.notify.message import Notification
from monitor.pipeline import Result
from monitor.store.base import STEP, Dispatch, JournalId, LeaseLost, Store, StoreError, StoreRewound
from monitor.store.keys import stream_ids

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_PAGE: Final = 1_000
_AT_ONCE: Final = 200
"""Alerts taken in before others have a turn on the event loop."""
_LONGEST_WAIT: Final = 1.0
"""Seconds after which the clocks are looked at again: one that was set may have made something due."""
_PAUSES: Final = (0.1, 2.0)
_RECENT_BYTES: Final = 32 * 2**20
"""Of steps kept after they were written, for a server that loses the end of what it had acknowledged."""
RESOLVE_TIMEOUT: Final = 300 * _SECOND
"""Nanoseconds after which another program's alert is over unless it is posted again, as in Alertmanager."""
_BARRIER: Final = 30.0
"""Seconds after the start at which people are told even where no data has come to evaluate the rules on."""


class Dispatcher:
    """See the module.

    `exact`: the daemon's clock is the data's. `wall` (UTC ns) and `monotonic` (seconds) are the machine's clocks.
    `on_verdict` hears of each verdict once it is stored, `on_silences` of silences added, changed or ended,
    `on_trouble` of each time the store does not take what was decided (why), and of the first that it does (None).
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        *,
        exact: bool,
        wall: Callable[[], int] = clock.wall_ns,
        monotonic: Callable[[], float] = clock.monotonic,
        on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
    ) -> None:
        self._store, self._policy, self._exact = store, policy, exact
        self._wall, self._monotonic, self._on_verdict = wall, monotonic, on_verdict
        self.book = AlertBook(policy, exact=exact)
        self._said = Said(store, self._heard)
        self.on_silences: Callable[[Sequence[Silence]], None] = lambda _changed: None
        self.on_trouble: Callable[[str | None], None] = lambda _reason: None
        self._event_time = 0
        self._waiting: deque[Committed | Alert] = deque()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._last: JournalId | None = None
        self._previous: JournalId | None = None
        self._recent: deque[Dispatch] = deque()
        self._recent_bytes = 0
        self._barrier_ends = 0.0

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def load(self, event_time: int) -> None:
        """Take up what the last leader left: ledger, silences, acknowledgements, and what it had not dispatched.

        `event_time`: that of the recovered state, UTC ns; 0 before the first data.
        """
        if STEP in (fields := await self._store.ledger()):
            self._last = self._previous = JournalId.parse(fields[STEP].decode())
        newest = await self._store.last_journal_id()
        self._last = max((i for i in (self._last, newest) if i is not None), default=None)
        if gone := self.book.load(fields):
            _LOG.warning("no receivers any more, and told no further of alerts that fire", receivers=sorted(gone))
        await self._said.hear()
        self._barrier_ends = self._monotonic() + _BARRIER
        while page := await self._store.transitions_after(self._loaded_to(), _PAGE):
            self._waiting.extend(read_back(page))
            if len(page) < _PAGE:
                break
        self._event_time = event_time
        self._end_old_health()
        fault("start.loaded")
        self._news.set()

    def _loaded_to(self) -> str:
        return next((c.cursor for c in reversed(self._waiting) if isinstance(c, Committed)), self.book.ledger.cursor)

    async def run(self) -> None:
        """Dispatch for ever. Raises LeaseLost when another daemon has taken over."""
        making_sure = asyncio.create_task(self._said.make_sure(), name="what people said")
        try:
            while True:
                await self._until_something_to_do()
                await self.step()
                if not self._waiting or not self.book.is_evaluated:
                    self._idle.set()
        finally:
            making_sure.cancel()
            await asyncio.gather(making_sure, return_exceptions=True)

    async def step(self) -> None:
        """Take in what waits, tell what is due, and make it durable; nothing before the rules have been evaluated."""
        self._news.clear()
        if self._monotonic() >= self._barrier_ends:
            self.book.evaluated()
        if not self.book.is_evaluated:
            return
        taken = 0
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Alert):
                self._take_posted(item)
                continue
            await self._take(item)
            taken += len(item.told)
        self._expire()
        self.book.advance(self._now(), self._wall())
        written = self.book.written()
        if written:
            await self._write(written)

    def _take_posted(self, alert: Alert) -> None:
        """Of a rule's alert only what has become of it is posted: one that ended meanwhile does not open again."""
        known = self.book.ledger.alerts.get(alert.episode)
        if alert.source is not Source.RULES or (known is not None and known.open):
            self.book.take(alert, self._now())

    async def _take(self, item: Committed) -> None:
        """One commit, at its own time where times are the data's."""
        at = item.at if self._exact else self._wall()
        self.book.advance(at, self._wall(), before=True)
        for number, (_, transition, notice) in enumerate(item.told, start=1):
            self.book.take(of_transition(transition, notice, at), at)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self.book.advance(at, self._wall())
        if item.cursor:
            self.book.ledger.move(item.cursor)

    def _now(self) -> int:
        return self._event_time if self._exact else self._wall()

    async def _until_something_to_do(self) -> None:
        if self._news.is_set() or (self._waiting and self.book.is_evaluated):
            return
        wait = _LONGEST_WAIT
        due, change = self.book.next_due(), self.silences.next_change(self._wall())
        if due is not None:
            wait = min(wait, max(0.0, (due - self._now()) / _SECOND)) if not self._exact or due <= self._now() else wait
        if change is not None:
            wait = min(wait, max(0.0, (change - self._wall()) / _SECOND))
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            if change is not None and self._wall() >= change:
                self.book.wake()

    async def drained(self) -> None:
        """Return when everything committed so far is dispatched and durable."""
        self._idle.clear()
        self._news.set()
        await self._idle.wait()

    # --- the store ----------------------------------------------------------------------------------------------------

    async def _write(self, written: Written) -> None:
        """Try until it is durable."""
        step = Dispatch(
            id=self._next_id(),
            previous=self._previous,
            ledger=written.ledger,
            outbox=[each.encode() for each in written.messages],
            decisions=[each.encode() for each in written.verdicts],
        )
        pause = _PAUSES[0]
        while True:
            try:
                fault("dispatch.decided")
                await self._store.dispatch(step)
                fault("dispatch.written")
            except StoreRewound as error:
                _LOG.error("the store has lost who was told; writing it again", error=str(error))
                step = await self._again(step)
            except LeaseLost:
                raise
            except StoreError as error:
                _LOG.warning("who is told cannot be noted", error=str(error), retry_s=pause)
                self.on_trouble(str(error))
            else:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])
        if pause > _PAUSES[0]:
            self.on_trouble(None)
        self._previous = step.id
        self._remember(step)
        for verdict in written.verdicts:
            self._on_verdict(verdict)

    async def _again(self, step: Dispatch) -> Dispatch:
        """The step with the whole ledger, and with the messages of steps that the server no longer has."""
        try:
            stored = (await self._store.ledger()).get(STEP)
        except StoreError as error:
            _LOG.warning("the ledger cannot be read", error=str(error))
            return step
        last = JournalId.parse(stored.decode()) if stored else JournalId(0, 0)
        lost = [each for each in self._recent if each.id > last]
        self._recent.clear()
        self._recent_bytes = 0
        whole = {**self.book.ledger.whole(), **{n: None for n, data in step.ledger.items() if data is None}}
        return replace(
            step,
            previous=None,
            ledger=whole,
            outbox=[*(entry for each in lost for entry in each.outbox), *step.outbox],
            decisions=[*(entry for each in lost for entry in each.decisions), *step.decisions],
        )

    def _remember(self, step: Dispatch) -> None:
        self._recent.append(step)
        self._recent_bytes += step.size
        while self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size

    def _next_id(self) -> JournalId:
        last = self._last or JournalId(0, 0)
        ms = max(self._wall() // 1_000_000, last.ms)
        self._last = JournalId(ms, last.sequence + 1 if ms == last.ms else 0)
        return self._last

    # --- what happened ------------------------------------------------------------------------------------------------

    def committed(self, results: Sequence[Result]) -> None:
        """Results have become durable: dispatch their transitions."""
        for result in results:
            ids = stream_ids(result.commit.entry.id, len(result.transitions))
            entries = zip(ids, result.transitions, result.notices, strict=True)
            told = tuple((i, t, n) for i, t, n in entries if n is not None)
            self._event_time = max(self._event_time, result.at)
            if ids or self._exact:
                self._waiting.append(Committed(result.at, told, ids[-1] if ids else ""))
        self.book.evaluated()
        if self._waiting or ((due := self.book.next_due()) is not None and due <= self._now()):
            self._news.set()

    def post(self, alerts: Sequence[Alert]) -> None:
        """Alerts that no rule of ours made: conditions of the monitor, and what other programs post."""
        self._waiting.extend(alerts)
        self._news.set()

    async def receive(self, posts: Sequence[Posted], *, lasting: int = RESOLVE_TIMEOUT) -> None:
        """Take in what another program posts, and return when it is stored. `lasting`: ns, as :func:`of_post`'s."""
        known = {a.fingerprint: a for a in self.book.alerts() if a.source is Source.EXTERNAL}
        wall = self._wall()
        alerts: list[Alert] = []
        for posted in posts:
            name = fingerprint(posted.labels)
            alert = of_post(posted, known.get(name), wall, lasting)
            if alert.open or name in known:
                known[name] = alert
                alerts.append(alert)
            if not alert.open:
                known.pop(name, None)
        self.post(alerts)
        await self.drained()

    def say(self, notes: Sequence[Notification], day: str) -> None:
        """Put the heartbeat of a date into the outbox, in one step with the note that it was said."""
        self.book.say(notes, day)
        self._news.set()

    def rules_changed(self, severities: Mapping[str, str]) -> None:
        """The rules were read again: open alerts have the severity that their rule has now."""
        self.post(
            [
                replace(alert, labels={**alert.labels, "severity": severities[alert.name]})
                for alert in self.book.alerts()
                if alert.source is Source.RULES and severities.get(alert.name, alert.severity) != alert.severity
            ]
        )

    def _expire(self) -> None:
        """End the alerts of other programs that were not posted again."""
        wall = self._wall()
        for alert in [self.book.ledger.alerts[episode] for episode in self.book.expiring]:
            if alert.expires_at is not None and alert.expires_at <= wall:
                over = replace(alert, ends_at=alert.expires_at, at=wall, updated_at=wall, reason="not posted again")
                self.book.take(over, self._now())

    def _end_old_health(self) -> None:
        """What the last process was ill with is over with it; if it still holds, this one will say so."""
        wall = self._wall()
        for alert in self.book.alerts():
            if alert.source is Source.HEALTH:
                summary = f"{alert.name}: the monitor was started again"
                self.post([replace(alert, ends_at=wall, at=wall, reason="started again", summary=summary)])

    # --- silences and acknowledgements --------------------------------------------------------------------------------

    async def set_silence(self, wanted: Silence) -> str:
        """Add a silence (no `id`) or change one; its id, which is a new one where the matchers changed.

        Raises:
            SilenceError: It cannot be; the text says why.
            StoreError: It could not be stored, and does not hold.
        """
        changes = self.silences.change(wanted, self._wall())
        await self._keep(changes)
        return list(changes)[-1]

    async def expire_silence(self, silence_id: str) -> None:
        """End a silence now; nothing where it has ended. Raises UnknownSilence, StoreError."""
        await self._keep(self.silences.expire(silence_id, self._wall()))

    def list_silences(self) -> list[Silence]:
        """Every silence, expired ones for five days."""
        return list(self.silences.by_id.values())

    async def _keep(self, changes: Mapping[str, Silence]) -> None:
        await self._said.keep_silences(changes, self._wall())
        self.on_silences([*changes.values()])

    async def acknowledge(self, episode: str, by: str, comment: str = "") -> Ack:
        """Somebody takes an open episode on: nobody is told of it again until it is over, or worse.

        Raises:
            UnknownEpisode: No alert that fires has this episode.
            AckError: The name or the comment cannot be.
            StoreError: It could not be stored, and does not hold.
        """
        self._open(episode)
        ack = Ack.by_person(by, self._wall(), comment)
        await self._keep_acks({episode: ack})
        return ack

    async def withdraw(self, episode: str) -> None:
        """Nobody has the episode any more; nothing where nobody had. Raises UnknownEpisode, StoreError."""
        self._open(episode)
        if episode in self.acks:
            await self._keep_acks({episode: None})

    def _open(self, episode: str) -> None:
        alert = self.book.ledger.alerts.get(episode)
        if alert is None or not alert.open:
            raise UnknownEpisode(f"no alert that fires has the episode `{episode[:200]}`")

    async def _keep_acks(self, changes: Mapping[str, Ack | None]) -> None:
        await self._said.keep_acks(changes, self.book.ledger.alerts, self._wall())

    async def acks_changed(self) -> None:
        """Somebody has acknowledged an episode, or taken that back: read the store's hash `acks` again."""
        await self._said.hear()

    def _heard(self) -> None:
        self.book.hear(self.silences, self.acks)
        self._news.set()

    @property
    def silences(self) -> Silences:
        """Those that there are."""
        return self._said.silences

    @property
    def acks(self) -> Mapping[str, Ack]:
        """Acknowledgements by episode."""
        return self._said.acks

    # --- what people ask ----------------------------------------------------------------------------------------------

    def alerts(self) -> list[Alert]:
        """Every alert that fires, whatever its source."""
        return self.book.alerts()

    def explain(self, rule: str) -> list[Verdict]:
        """What every stage decides now of each open alert of a rule, a receiver each."""
        return self.book.explain(rule, self._now(), self._wall())
