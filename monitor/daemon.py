"""The running monitor: the loops between feeds, compute thread, store and receivers.

One rule keeps them simple: whoever asks the compute thread for results holds `turn` until they are queued for the
store, so the store sees results, reloads and checkpoints in the order in which they were decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
import structlog

from connectors.backlog import Backlog
from monitor import clock, queries
from monitor.alerting.alert import of_condition
from monitor.alerting.dispatcher import Dispatcher
from monitor.committer import Committer
from monitor.compaction import compact
from monitor.compute import ComputeThread
from monitor.corporate_actions.book import ActionBook
from monitor.corporate_actions.screen import ADJUSTED, IMPOSSIBLE, SPIKE, SPLIT, screened
from monitor.data_health import NAMES as DATA_TROUBLES
from monitor.feed_flow import flows
from monitor.feeds import Feeds, LineFigures
from monitor.health import ACTIONS_INVALID, FEED_DOWN, RULE_SUSPENDED, RULES_INVALID, STORE_DOWN, HealthBoard
from monitor.history.filling import HISTORY_INCOMPLETE
from monitor.liveness import Liveness
from monitor.logs import SECRETS
from monitor.memory import give_back
from monitor.metrics import Metrics, Step
from monitor.notify.outbox import Notifier
from monitor.notify.values import utc
from monitor.pipeline import Pipeline, Result
from monitor.recovery import load_series, load_sessions
from monitor.rule_files import read_rules, watch
from monitor.store.base import Store, StoreError
from monitor.web.events import EventStream
from rules.transition import InstanceRecord

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_HOLD: Final = 0.05
"""Seconds without data after which the instant held back is taken to be whole."""
_TICK: Final = 1.0
"""Seconds without data after which event time moves on by itself, where it follows the wall clock."""
_WATCH: Final = 0.5
_TRIMS: Final = 100
"""Steps in which history is forgotten after a checkpoint; what is left then waits for the next."""
_JOURNAL_BYTES: Final = 2**30
"""Of the journal in the store, which has it in memory: half an hour of 10,000 quotes a second; a start needs less."""
_DATE: Final = len("2026-01-23")
_MOST_ROWS: Final = 50_000
"""Rows taken at once when far behind: enough to pay the fixed costs rarely, few enough to stay within milliseconds."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often housekeeping happens and how much it keeps: seconds, and sessions of minute bars."""

    checkpoint_every: float
    journal_keep: float
    history_keep: float
    minute_sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What :func:`monitor.app.run` has built for the daemon to run.

    `max_pending_bytes`: kept while the store is away.
    """

    compute: ComputeThread
    store: Store
    backlog: Backlog
    feeds: Feeds
    liveness: Liveness
    dispatcher: Dispatcher
    notifier: Notifier
    health: HealthBoard
    metrics: Metrics
    rule_paths: Sequence[Path]
    schedule: Schedule
    follows_wall: bool
    max_pending_bytes: int
    zone: ZoneInfo
    owner: str
    receivers: tuple[str, ...]
    history: Sequence[pl.DataFrame]
    series: Sequence[pl.DataFrame]
    book: ActionBook


class Daemon:
    """The loops, and what the API asks of them."""

    def __init__(self, parts: Parts) -> None:
        self.compute, self.store, self.dispatcher = parts.compute, parts.store, parts.dispatcher
        self._backlog, self._feeds, self._liveness = parts.backlog, parts.feeds, parts.liveness
        self.notifier, self._health, self._metrics = parts.notifier, parts.health, parts.metrics
        self._rule_paths, self._schedule, self._follows_wall = parts.rule_paths, parts.schedule, parts.follows_wall
        self._receivers, self._history, self._series = parts.receivers, parts.history, parts.series
        self._book = parts.book
        self._data_troubles: set[tuple[str, str, str]] = set()
        self.events, self.zone = EventStream(), parts.zone
        self.turn = asyncio.Lock()
        self.committer = Committer(
            parts.store,
            max_bytes=parts.max_pending_bytes,
            owner=parts.owner,
            instances=lambda: parts.compute.run(Pipeline.stored_instances),
            on_done=self._committed,
            on_trouble=self._store_trouble,
        )
        parts.dispatcher.on_trouble = self._store_trouble
        self._rule_errors: list[str] = []
        self._suspended: set[str] = set()

    # --- data -----------------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Move what the feeds said through the compute thread into the store's queue, for ever."""
        held = 0
        while True:
            patience = _HOLD if held else _TICK if self._follows_wall else None
            try:
                async with asyncio.timeout(patience):
                    batches = await self._backlog.take(_MOST_ROWS)
            except TimeoutError:
                held, _ = await self._in_turn(Pipeline.flush if held else Pipeline.tick, clock.wall_ns())
            else:
                held, now = await self._in_turn(Pipeline.process, batches, clock.wall_ns())
                self._liveness.saw(now)

    async def _in_turn(self, call: Any, *args: Any) -> tuple[int, int]:  # noqa: ANN401 - any call that gives results
        """Queue what a call of the pipeline decides; the rows then held back, and event time."""
        async with self.turn:
            output = await self.compute.run(_output, call, *args)
            await self.committer.put(*output.results)
            while output.waiting:
                output = await self.compute.run(_output, Pipeline.process, (), clock.wall_ns())
                await self.committer.put(*output.results)
        return output.held, output.now

    async def adopt(self, records: Sequence[InstanceRecord]) -> None:
        """Take up the stored instances; what became of edited rules while no daemon ran is told now."""
        await self._in_turn(Pipeline.adopt, records, clock.wall_ns())

    async def finish(self) -> None:
        """Decide what was held back, save the state, and wait until it is durable."""
        await self._in_turn(Pipeline.flush, clock.wall_ns())
        await self._checkpoint()
        await self.committer.drained()
        await self.dispatcher.drained()

    # --- housekeeping ---------------------------------------------------------------------------------------

    async def checkpoints(self) -> None:
        """Save the state and drop what has expired, for ever."""
        while True:
            await asyncio.sleep(self._schedule.checkpoint_every)
            await self._checkpoint()
            await asyncio.to_thread(give_back)
            try:
                await self._expire()
                self._metrics.observe_store(self.committer.waiting_bytes, *await self.store.outbox_depth())
            except StoreError as error:
                _LOG.warning("expired data stays in the store until the next checkpoint", error=str(error))

    async def _checkpoint(self) -> None:
        async with self.turn:
            await self.committer.put(await self.compute.run(Pipeline.checkpoint))

    async def _expire(self) -> None:
        await self.committer.drained()
        kept = int(self._schedule.journal_keep * 1000)
        await self.store.trim_journal(clock.wall_ns() // 1_000_000 - kept, _JOURNAL_BYTES)
        await self._forget()
        names = await self.store.bar_chunks("1m")
        days = sorted({name[:_DATE] for name in names})[-self._schedule.minute_sessions :]
        oldest = await self.compute.run(lambda p: p.state.oldest_needed_minute())
        since = min(days[0], utc(oldest)[:_DATE]) if days and oldest else ""
        await self.store.drop_bars("1m", [name for name in names if name[:_DATE] < since])
        await compact(self.store)

    async def _forget(self) -> None:
        """Drop the history that is too old, so many entries at a time that nobody waits for it."""
        before = clock.wall_ns() // 1_000_000 - int(self._schedule.history_keep * 1000)
        for _ in range(_TRIMS):
            if not await self.store.trim_history(before):
                return

    async def watch_feeds(self) -> None:
        """Turn the feeds' connections into health conditions and figures, for ever."""
        while True:
            await asyncio.sleep(_WATCH)
            states = self._feeds.states()
            for feed in states:
                about = {"feed": feed.figures.name}
                if feed.trouble:
                    self._health.raise_(FEED_DOWN, feed.trouble, labels=about, at_once=feed.stopped)
                else:
                    self._health.clear(FEED_DOWN, labels=about)
            await self.compute.run(Pipeline.feeds_down, [feed.figures.name for feed in states if feed.trouble])
            self._tell_suspended(await self.compute.run(queries.suspended))
            self._metrics.observe_feeds([feed.figures for feed in states], self._backlog.bytes)
            summary = await self.compute.run(queries.summary)
            kinds = {"alert": summary["rules"], "record": len(await self.compute.run(queries.records))}
            self._metrics.observe_state(summary["states"], kinds, summary["state_bytes"])
            self._metrics.observe_lags(await self.compute.run(_lags, clock.wall_ns()))
            self._metrics.observe_filtered(
                await self.compute.run(lambda p: {(f, str(c)): n for (f, c), n in p.truth.rejects.counts.items()})
            )
            self._metrics.observe_flows(await self.compute.run(flows))
            if self._follows_wall:  # the event times of a replay say nothing of the way here
                lines = {feed.figures.name: self._feeds.line(feed.figures.name) for feed in states}
                self._metrics.observe_line_lags({name: line.lag.told() for name, line in lines.items()})

    def _tell_suspended(self, reasons: Mapping[str, str]) -> None:
        for rule in self._suspended - reasons.keys():
            self._health.clear(RULE_SUSPENDED, labels={"rule": rule})
        for rule, reason in reasons.items():
            self._health.raise_(RULE_SUSPENDED, reason, labels={"rule": rule})
        self._suspended = set(reasons)

    async def watch_data(self) -> None:
        """Turn what is wrong with the data into health conditions, and take up new corporate actions, for ever."""
        while True:
            await asyncio.sleep(_WATCH)
            if await asyncio.to_thread(self._book.reread):
                await self._in_turn(Pipeline.adopt_actions, self._book.actions, clock.wall_ns())
                for action in self._book.actions:  # what was asked of its history is answered
                    self._health.clear(SPLIT, labels={"symbol": action.symbol})
                await self._load_history()
                _LOG.info("corporate actions", count=len(self._book.actions))
            if self._book.error:
                self._health.raise_(ACTIONS_INVALID, self._book.error)
            else:
                self._health.clear(ACTIONS_INVALID)
            troubles = await self.compute.run(Pipeline.troubles, clock.wall_ns())
            for trouble in troubles:
                self._health.raise_(trouble.name, trouble.reason, labels={trouble.label: trouble.subject})
            now = {(trouble.name, trouble.label, trouble.subject) for trouble in troubles}
            for name, label, subject in self._data_troubles - now:
                self._health.clear(name, labels={label: subject})
            self._data_troubles = now

    async def tell_health(self) -> None:
        """Tell what the health board has to tell, for ever: as alerts; directly where the store is what is ill."""
        async with asyncio.TaskGroup() as telling:
            while True:
                await asyncio.sleep(_WATCH)
                notes = self._health.due()
                if direct := [note for note in notes if note.alert == STORE_DOWN]:
                    telling.create_task(self.notifier.deliver_now(direct))
                alerts = {(n.episode, n.kind): of_condition(n) for n in notes if n.alert != STORE_DOWN}
                if alerts:
                    self.dispatcher.post([*alerts.values()])

    # --- rules ----------------------------------------------------------------------------------------------

    async def watch_rules(self) -> None:
        """Reload the rules when a file changes, for ever."""

        async def changed() -> None:
            await self.reload()

        await watch(self._rule_paths, changed)

    async def reload(self) -> list[str]:
        """Read the rules again; the errors, if they are wrong and the old ones stay."""
        loaded = await asyncio.to_thread(read_rules, self._rule_paths, self._receivers)
        for diagnostic in loaded.diagnostics:
            _LOG.warning("rules", problem=diagnostic.render())
        if loaded.ruleset is None:
            self._rule_errors = [d.render() for d in loaded.diagnostics]
            self._metrics.reloads.labels("refused").inc()
            self._health.raise_(RULES_INVALID, self._rule_errors[0].splitlines()[0], at_once=True)
            return self._rule_errors
        self._rule_errors = []
        self._health.clear(RULES_INVALID)
        self._metrics.reloads.labels("applied").inc()
        needed = await self.compute.run(lambda p: p.engine.requirements)
        await self._in_turn(Pipeline.reload, loaded.ruleset, clock.wall_ns())
        self.dispatcher.rules_changed({rule.name: str(rule.severity) for rule in loaded.ruleset.alerts})
        if await self.compute.run(lambda p: p.engine.requirements) != needed:
            await self._load_history()
        await self._feeds.want(await self.compute.run(lambda p: p.engine.requirements.instruments))
        _LOG.info("rules loaded", alerts=len(loaded.ruleset.alerts), records=len(loaded.ruleset.records))
        return []

    async def instruments(self) -> Collection[str]:
        """What the rules look at."""
        return await self.compute.run(lambda p: p.engine.requirements.instruments)

    async def take_history(self) -> None:
        """Take in session bars that were stored beside the daemon."""
        async with self.turn:
            await self._load_history()

    async def _load_history(self) -> None:
        """Give rules that look at more than the old ones did the stored past of it."""
        needed = await self.compute.run(lambda p: p.engine.requirements)
        try:
            stored, series = await load_sessions(self.store, needed), await load_series(self.store, needed)
        except StoreError as error:
            _LOG.warning("new rules see only what came since the start, until the next one", error=str(error))
            stored, series = [], []
        history, _ = screened(self._history, stored, self._book.actions)
        await self.compute.run(Pipeline.include_history, [*stored, *history], [*series, *self._series])

    # --- what happened --------------------------------------------------------------------------------------

    def _committed(self, results: list[Result], seconds: float) -> None:
        self.dispatcher.committed(results)
        now = clock.wall_ns()
        self.events.transitions(t["transition"] for r in results for t in r.commit.transitions)
        steps = [r for r in results if r.rows]
        self._metrics.committed(
            seconds,
            (Step(r.rows, r.apply_seconds, r.evaluation_seconds, (now - r.received_at) / _SECOND) for r in steps),
        )
        for transition in (t for r in results for t in r.transitions):
            self._metrics.transition(transition.alert, str(transition.new))
            _LOG.info(
                "transition",
                alert=transition.alert,
                member=transition.member,
                old=str(transition.old),
                new=str(transition.new),
                episode=transition.episode,
                value=transition.value,
                reason=str(transition.reason),
            )

    def _store_trouble(self, reason: str | None) -> None:
        if reason is None:
            self._health.clear(STORE_DOWN)
        else:
            self._health.raise_(STORE_DOWN, reason)

    def troubles(self) -> list[dict[str, Any]]:
        """Health conditions that hold now."""
        return self._health.conditions()

    def unready(self) -> list[str]:
        """Why alerts cannot be decided or kept at the moment."""
        of_history = {ADJUSTED, IMPOSSIBLE, SPIKE, HISTORY_INCOMPLETE}
        passable = {RULES_INVALID, RULE_SUSPENDED, ACTIONS_INVALID} | of_history | DATA_TROUBLES
        return [f"{c['name']}: {c['reason']}" for c in self._health.conditions() if c["name"] not in passable]

    def feeds(self) -> list[dict[str, Any]]:
        """Every feed's connection in words and numbers."""
        return [SECRETS.clean(state.details) for state in self._feeds.states()]

    def line(self, feed: str) -> LineFigures:
        """What else is counted of a feed's line."""
        return self._feeds.line(feed)

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """All figures as text, and its content type, for who accepts that."""
        return self._metrics.expose(accept)


@dataclass(frozen=True, slots=True)
class _Output:
    """What a call decided, and how the pipeline stands after it: one hand-over between the threads, not four."""

    results: list[Result]
    waiting: int
    held: int
    now: int


def _output(pipeline: Pipeline, call: Any, *args: Any) -> _Output:  # noqa: ANN401 - any call that gives results
    return _Output(call(pipeline, *args), pipeline.waiting, pipeline.held, pipeline.state.now)


def _lags(pipeline: Pipeline, wall_ns: int) -> dict[str, float]:
    """Seconds by which each feed's newest event is behind the machine's clock."""
    return {feed: (wall_ns - newest) / _SECOND for feed, newest in pipeline.truth.watermarks().items()}
