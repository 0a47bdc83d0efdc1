"""The whole program on one page: what is started, in what order, and what each part is handed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog

from connectors.backlog import Backlog
from monitor import clock, logs, settings
from monitor.alerting import configured
from monitor.alerting.ack_links import AckLinks
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.keep_firing import keep_firing
from monitor.calendar import CalendarError, TradingCalendar
from monitor.charts.png import rasterizer
from monitor.compute import ComputeThread
from monitor.corporate_actions.book import ActionBook
from monitor.daemon import Daemon, Parts, Schedule
from monitor.data_files import DataFileError
from monitor.feeds import Feeds
from monitor.health import HealthBoard
from monitor.heartbeat import Heartbeat
from monitor.history.filling import Filling
from monitor.ingest import Cutter, TruthFilter, TruthSettings
from monitor.key_lease import KeyLeases
from monitor.lease import CLAIM_EVERY, Lease, owner_name
from monitor.liveness import EventLiveness, Liveness, WallLiveness
from monitor.logs import LogFormat
from monitor.metrics import Metrics
from monitor.notify.alertmanager import RESEND, AlertmanagerSender
from monitor.notify.outbox import Notifier
from monitor.opening import ZONE, StartError, open_feed, open_rules, open_sender, wait_for_store
from monitor.pictures.painter import Painter
from monitor.pictures.subject import LOOKED_BACK
from monitor.pipeline import Pipeline
from monitor.positions import Positions
from monitor.recovery import Recovery, read_history
from monitor.self_series import NAMES
from monitor.state import MarketState, PriceSource
from monitor.store.base import LeaseLost, StoreError, StoreUnavailable
from monitor.warming import cold_rules, cold_summary
from monitor.web.ack_links import ack_page
from monitor.web.api import snapshot
from monitor.web.application import application
from monitor.web.server import WebServer
from monitor.web.standby import Standing
from rules.budget import Budget
from rules.engine import Engine

_LOG = structlog.get_logger(__name__)
_SECOND: Final = 1_000_000_000
_BACKLOG_BYTES: Final = 64 * 2**20
_PENDING_BYTES: Final = 256 * 2**20
"""Of decisions while the store is away: at 12 bytes a quote, 30 seconds of 500,000 quotes a second."""
_SWITCH: Final = 0.0005
"""Seconds that one thread may keep the interpreter from another: the loop must not wait for the compute thread's."""
_DRAIN: Final = 5.0
"""Seconds that an orderly end waits for the store and the receivers."""
_FEEDS_END: Final = 2.0
"""Seconds for a feed to close its line: a client that was just connecting may have taken the first word for another."""
_MINUTE_SESSIONS: Final = 10


async def run(config: settings.Settings) -> int:
    """Run until SIGTERM or Ctrl-C. Returns the exit code: 0 after an orderly end, 2 where it could not go on."""
    for secret in config.secrets():
        logs.SECRETS.add(secret)
    as_text = config.log.format == "console" or (config.log.format == "auto" and sys.stderr.isatty())
    logs.configure(LogFormat.TEXT if as_text else LogFormat.JSON, getattr(logging, config.log.level.upper()))
    sys.setswitchinterval(_SWITCH)
    stop, failed = asyncio.Event(), False
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        while await _lead(config, stop):
            _LOG.warning("another monitor has taken the lease: standing by")
    except* (StartError, StoreError, DataFileError, CalendarError, OSError) as group:
        failed = True
        for error in _leaves(group):
            _LOG.critical("the monitor stops", reason=str(error))
    return 2 if failed else 0


async def _lead(config: settings.Settings, stop: asyncio.Event) -> bool:
    """Run until `stop`, or until another monitor took over: then True."""
    lost = False
    try:
        await _run(config, stop)
    except* LeaseLost:
        lost = not stop.is_set()
    return lost


async def _run(config: settings.Settings, stop: asyncio.Event) -> None:  # noqa: PLR0915 - the program on one page
    # What a start loads lives as long as the daemon: looking through it for garbage takes seconds in all, and later
    # would halt everything for 100 ms each time.
    gc.disable()
    follows_wall = config.clock == "wall"
    calendar = TradingCalendar(config.calendar)
    ruleset = open_rules(config)
    liveness: Liveness = (
        WallLiveness(calendar, clock.wall_ns) if follows_wall else EventLiveness(calendar, clock.monotonic)
    )
    backlog = Backlog(_BACKLOG_BYTES)
    positions, keys = Positions(), KeyLeases()
    feeds = Feeds(
        [open_feed(feed, name, backlog, liveness, calendar, positions, keys) for name, feed in config.feeds.items()]
    )
    history, series = read_history(config.history_files, calendar)
    history += [frame for source in feeds.sources if (frame := source.history()) is not None]

    metrics = Metrics()
    health = HealthBoard(config.told, on_change=metrics.problem)
    async with contextlib.AsyncExitStack() as stack:
        pictured = any(receiver.picture for receiver in config.receivers.values())
        painter = Painter(await stack.enter_async_context(rasterizer()), calendar, on_outcome=metrics.picture)
        stack.push_async_callback(painter.close)
        page = config.web.address
        senders = {name: open_sender(name, receiver, painter, page) for name, receiver in config.receivers.items()}
        owner = owner_name()
        async with asyncio.TaskGroup() as both:  # the store reads its files meanwhile
            opening = both.create_task(wait_for_store(stack, config))
            compiling = both.create_task(
                asyncio.to_thread(
                    Engine,
                    ruleset,
                    calendar,
                    max_gap_ns=config.stale_after,
                    session_ns=calendar.session_ns,
                    budget=Budget(config.evaluation_budget / _SECOND, clock.worked),
                )
            )
        store, engine = opening.result(), compiling.result()
        lease = Lease(store, owner, exclusive=config.store.embedded)
        for sender in senders.values():
            stack.push_async_callback(sender.close)

        state = MarketState(
            calendar,
            price=PriceSource(config.price),
            stale_after_ns=config.stale_after,
            clock_ns=LOOKED_BACK if pictured else 0,
        )
        state.needs(engine.requirements)
        truth = TruthFilter(
            TruthSettings(
                lateness_ns=config.lateness,
                feeds=tuple(config.feeds),
                closes=calendar.closes,
                earliest_ns=int(calendar.closes[0]),
                latest_ns=int(calendar.opens[-1]),
            )
        )
        book = await ActionBook.open(
            store, [entry.data for entry in config.corporate_actions], dividends=config.dividends == "adjust"
        )
        recovery = Recovery(store, state, truth, book.actions)
        leader = await lease.claim()
        if leader:
            await recovery.begin(engine.requirements, history, series)
            if not await _stand_by(config, lease, recovery, leader, stop):
                return
        stack.push_async_callback(lease.release)
        keeping = asyncio.create_task(lease.keep(), name="lease")
        stack.callback(keeping.cancel)
        if not leader:
            await recovery.begin(engine.requirements, history, series)
        recovered = await recovery.finish()
        if nothing := sorted(set(state.external.without_value()) - NAMES):
            _LOG.warning("external series of the rules never had a value: import them, or send them", series=nothing)
        for objection in recovery.objections:
            health.raise_(objection.condition, objection.reason, labels={"symbol": objection.symbol}, at_once=True)
        if cold := cold_rules(ruleset, state):
            _LOG.warning("rules need more history than is stored: see `rotation check`", **cold_summary(cold, state))
        if len(config.feeds) == 1 and state.now:
            truth.resume(next(iter(config.feeds)), state.now)
        pipeline = Pipeline(
            state,
            engine,
            truth,
            Cutter(config.evaluate_every, hold_last=not follows_wall),
            ZONE,
            follows_wall=follows_wall,
            last_id=recovered.last_id,
            on_template_error=metrics.template_error,
        )
        pipeline.silences.restore(recovery.cadences, truth.codes)
        policy = configured.policy(config, calendar)
        dispatcher = Dispatcher(store, policy, exact=not follows_wall, on_verdict=metrics.verdict)
        await dispatcher.load(state.now)
        await positions.open(store)
        await keys.open(store)
        links = await AckLinks.open(store, config.web.external_url or "")
        notifier = Notifier(
            store,
            senders,
            allowed=lease.lasts,
            linked=lambda notification: links.linked(notification, clock.wall_ns()),
            on_outcome=metrics.notification,
            on_failing=lambda name, reason: _failing(health, name, reason),
        )
        compute = ComputeThread(pipeline)
        stack.callback(compute.close)
        painter.look_at(compute)
        parts = Parts(
            compute=compute,
            store=store,
            backlog=backlog,
            feeds=feeds,
            liveness=liveness,
            dispatcher=dispatcher,
            notifier=notifier,
            health=health,
            metrics=metrics,
            rule_paths=config.rules,
            schedule=Schedule(
                checkpoint_every=config.checkpoint_every / _SECOND,
                journal_keep=config.journal_keep / _SECOND,
                history_keep=config.history_keep / _SECOND,
                minute_sessions=_MINUTE_SESSIONS,
            ),
            follows_wall=follows_wall,
            max_pending_bytes=_PENDING_BYTES,
            zone=ZONE,
            owner=owner,
            receivers=tuple(config.receivers),
            history=history,
            series=series,
            book=book,
        )
        daemon = Daemon(parts)
        app = application(daemon, config, policy, backlog, positions)
        app.include_router(ack_page(daemon, links))
        web = WebServer(app, config.web.host, config.web.port, config.web.tls)
        _LOG.info(
            "started",
            page=_page(config.web, web.port),
            rules=len(ruleset.alerts),
            instruments=len(engine.requirements.instruments),
            journal_entries=recovered.entries,
            instances=len(recovered.records),
        )
        gc.freeze()
        gc.enable()
        filling = Filling(config, calendar, store, health, daemon.instruments, daemon.take_history)
        forgetful = {name: sender for name, sender in senders.items() if isinstance(sender, AlertmanagerSender)}
        warming = [painter.warm_up()] if pictured else []
        beside = (*warming, positions.run(), filling.run(), keep_firing(dispatcher, forgetful, RESEND))
        if config.heartbeat:
            beside = (*beside, Heartbeat(config.heartbeat, daemon, calendar, ZONE).run())
        await _serve(daemon, notifier, feeds, web, recovered.records, stop, keeping, beside, reread=bool(leader))
        with contextlib.suppress(StoreError):  # what is not kept is read again, which harms nothing
            await positions.keep()
        _LOG.info("stopped")


async def _stand_by(
    config: settings.Settings, lease: Lease, recovery: Recovery, leader: str, stop: asyncio.Event
) -> bool:
    """Follow the leader until its lease is ours: then True; False where `stop` came first."""
    standing = Standing(config.web.path)
    web = WebServer(standing, config.web.host, config.web.port, config.web.tls)
    _LOG.info("standing by", leader=leader, page=_page(config.web, web.port))
    answering = asyncio.create_task(web.run())
    try:
        while leader and not stop.is_set():
            standing.leader = leader
            try:
                await recovery.follow()
                leader = await lease.claim()
            except StoreUnavailable as error:
                _LOG.warning("the store is away; standing by", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CLAIM_EVERY if leader else 0)
    finally:
        await _end([answering])
    _LOG.info("leading now" if not leader else "stopped")
    return not leader


async def _serve(  # noqa: PLR0913 - everything that runs
    daemon: Daemon,
    notifier: Notifier,
    feeds: Feeds,
    web: WebServer,
    records: Sequence[Any],
    stop: asyncio.Event,
    keeping: asyncio.Task[None],
    beside: Sequence[Coroutine[Any, Any, None]],
    *,
    reread: bool,
) -> None:
    """Run every loop until `stop`; then end them so that nothing decided is left behind.

    `reread`: the rules were read a while ago, before this daemon led.
    """
    async with asyncio.TaskGroup() as group:

        def start(*loops: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
            return [group.create_task(loop) for loop in loops]

        outward = start(
            _until_lost(keeping),
            daemon.committer.run(),
            daemon.dispatcher.run(),
            notifier.run(),
            web.run(),
            daemon.events.run(lambda: snapshot(daemon)),
            *beside,
        )
        await daemon.adopt(records)
        if reread:
            await daemon.reload()
        await feeds.want(await daemon.compute.run(lambda p: p.engine.requirements.instruments))
        inward = start(*(surely_ended(source.run()) for source in feeds.sources))
        middle = start(
            daemon.pump(),
            daemon.checkpoints(),
            daemon.watch_feeds(),
            daemon.watch_data(),
            daemon.watch_rules(),
            daemon.tell_health(),
        )
        await stop.wait()
        _LOG.info("stopping")
        await _end(inward)
        try:
            async with asyncio.timeout(_DRAIN):
                async with daemon.turn:  # cancelled in mid-turn, what was just decided would never reach the store
                    await _end(middle)
                await daemon.finish()
        except TimeoutError:
            _LOG.warning(
                "the store is away: what it does not have is in no journal and will be received again or not at all"
            )
        await _end([*middle, *outward])


async def _until_lost(keeping: asyncio.Task[None]) -> None:
    """Raises LeaseLost with the task that keeps the lease, which outlives this one."""
    await asyncio.shield(keeping)


async def surely_ended(loop: Coroutine[Any, Any, None]) -> None:
    """Run `loop`; a cancellation that it takes for something else is said again, whoever cancels.

    A feed that went on after the lease was lost would keep its line, and so the next leader from having one.
    """
    task = asyncio.create_task(loop)
    try:
        await asyncio.wait([task])
    finally:
        await _end([task], _FEEDS_END)
    await task


async def _end(tasks: Sequence[asyncio.Task[None]], again: float | None = None) -> None:
    """Cancel tasks and wait for them; `again`: seconds after which those that go on all the same are cancelled anew."""
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=again)


def _failing(health: HealthBoard, receiver: str, reason: str | None) -> None:
    if reason is None:
        health.clear("receiver-failing", labels={"receiver": receiver})
    else:
        health.raise_("receiver-failing", reason, labels={"receiver": receiver})


def _page(web: settings.WebSettings, port: int) -> str:
    """The page's address on this machine."""
    return f"{'https' if web.tls else 'http'}://{web.listen.rpartition(':')[0]}:{port}{web.path}"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
