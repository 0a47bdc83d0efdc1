"""``rotation doctor``: does everything the monitor depends on work, and what to do where it does not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from monitor.cli.configuration import config_option, find_config, only_warnings, settings_of
from monitor.cli.faults import Exit, Fault
from monitor.cli.many import ManyValuesCommand
from monitor.cli.output import JSON, format_option, print_json, print_table

if TYPE_CHECKING:
    from monitor.settings import FeedSettings, Settings, StoreSettings, WebSettings

PATIENCE: Final = 5.0
"""Seconds that anything may take to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice`: what to do, where it is not well."""

    name: str
    well: bool
    detail: str
    advice: str = ""


@click.command(cls=ManyValuesCommand, short_help="Check what the monitor depends on, and say what to do.")
@click.option(
    "--data", "data", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="Check data files instead: what is refused of them, by cause, and what is missing.",
)  # fmt: skip
@click.option(
    "--actions", "actions", multiple=True, type=click.Path(path_type=Path), metavar="FILE...",
    help="With --data: corporate actions that are known.",
)  # fmt: skip
@click.option("--bar", metavar="LENGTH", help="With --data: length of the bars; otherwise the smallest step.")
@click.option("--calendar", default="XNYS", show_default=True, help="With --data: exchange whose sessions count.")
@config_option
@format_option
def doctor(
    config: Path | None,
    form: str,
    data: Sequence[Path],
    actions: Sequence[Path],
    bar: str | None,
    calendar: str,
) -> Exit:
    """Look at the store, the calendar, the clock, the rules, the feeds' addresses, the history and the receivers.

    A running monitor is asked for its problems. Nothing is sent to a receiver and no feed is signed in to. With
    --data, look at data files: the rows that the truth filter would refuse, by cause, sessions that are missing or
    short, and jumps that look like splits.
    """
    if data:
        return _data(data, actions, bar, calendar, form)

    import asyncio

    settings = settings_of(find_config(config))
    only_warnings()

    async def look() -> list[Finding]:
        return [finding async for finding in _findings(settings)]

    findings = asyncio.run(look())
    if form == JSON:
        for f in findings:
            print_json({"check": f.name, "ok": f.well, "detail": f.detail, "advice": f.advice})
    else:
        rows = [("ok" if f.well else "FAILED", f.name, f.detail) for f in findings]
        print_table(("", "check", "detail"), rows)
        for f in findings:
            if not f.well:
                click.echo(f"{f.name}: {f.advice}", err=True)
    return Exit.DONE if all(f.well for f in findings) else Exit.NO


def _data(data: Sequence[Path], actions: Sequence[Path], bar: str | None, calendar: str, form: str) -> Exit:
    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.cli.data_check import check_files
    from monitor.cli.recorded import read_actions_of, read_market

    try:
        trading = TradingCalendar(calendar)
    except CalendarError as error:
        raise Fault(str(error)) from None
    return check_files(read_market(data, bar=bar), trading, read_actions_of(actions, adjust=True), form)


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    yield _calendar(settings.calendar)
    async for finding in _store(settings.store):
        yield finding
    yield _rules(settings.rules)
    yield _pictures()
    for name, feed in settings.feeds.items():
        yield await _feed(name, feed)
    if not settings.feeds:
        yield Finding("feeds", well=False, detail="none", advice="name one under `feeds:` in rotation.yaml")
    for finding in _files(settings):
        yield finding
    async for finding in _history(settings):
        yield finding
    for finding in _receivers(settings):
        yield finding
    for finding in _running(settings.web):
        yield finding


def _running(web: WebSettings) -> Iterator[Finding]:
    """What troubles the running monitor; that none answers is no fault, as it may not be started yet."""
    from monitor.cli.daemon_client import TOKEN, configured

    try:
        troubles = configured(web, os.environ.get(TOKEN)).get("/api/v1/status")["health"]
    except Fault as fault:
        yield Finding("monitor", well=True, detail=str(fault))
        return
    for trouble in troubles:
        about = " ".join(["monitor:", trouble["name"], *trouble["labels"].values()])
        yield Finding(about, well=False, detail=f"since {trouble['since']}", advice=trouble["reason"])
    if not troubles:
        yield Finding("monitor", well=True, detail="running, without a problem")


def _calendar(name: str) -> Finding:
    from monitor import clock
    from monitor.calendar import CalendarError, TradingCalendar

    try:
        calendar = TradingCalendar(name)
        session = calendar.date(calendar.session_at(clock.wall_ns()))
    except CalendarError as error:
        return Finding("calendar", well=False, detail=str(error), advice="set `calendar:` and the machine's clock")
    return Finding("calendar", well=True, detail=f"{name}, the session now or next is {session}")


async def _store(store: StoreSettings) -> AsyncIterator[Finding]:
    from monitor import clock
    from monitor.store.base import StoreError
    from monitor.store.factory import open_store

    if store.embedded and (holder := _running_monitor(store.data_dir)):
        yield Finding("store", well=True, detail=f"embedded in {store.data_dir}, used by the running monitor {holder}")
        return
    try:
        async with open_store(store.url.get_secret_value(), store.data_dir, time_out=PATIENCE) as opened:
            await opened.ping()
            last = await opened.last_journal_id()
    except StoreError as error:
        where = (
            "the folder `store: {data_dir}`" if store.embedded else "the address `store: {url}` and the server there"
        )
        yield Finding("store", well=False, detail=str(error), advice=f"check {where}")
        return
    yield Finding("store", well=True, detail=f"embedded in {store.data_dir}" if store.embedded else "answers")
    behind = last.ms - clock.wall_ns() // 1_000_000 if last else 0
    if behind > 0:
        detail = f"{behind / 1000:.0f} s behind the newest entry of the journal"
        yield Finding(
            "clock", well=False, detail=detail, advice="set the machine's clock, and let NTP or chrony keep it"
        )
    else:
        yield Finding("clock", well=True, detail="not behind the journal")


def _running_monitor(data_dir: Path) -> int | None:
    """The process that has the data folder, if one has."""
    from monitor.store.folder_lock import FolderLock

    path = data_dir / "daemon.lock"
    if not path.exists():
        return None
    lock = FolderLock(path)
    if lock.take():
        lock.release()
        return None
    return lock.holder()


def _rules(paths: tuple[Path, ...]) -> Finding:
    from rules.load import load_rules

    loaded = load_rules(paths)
    errors = [d for d in loaded.diagnostics if d.severity == "error"]
    if errors:
        detail = errors[0].render().splitlines()[0]
        return Finding("rules", well=False, detail=detail, advice="`rotation check` shows every error with its line")
    alerts = len(loaded.ruleset.alerts) if loaded.ruleset else 0
    if not alerts:
        return Finding("rules", well=False, detail="no alert rule", advice="name rule files under `rules:`")
    return Finding("rules", well=True, detail=f"{alerts} alert rules")


def _pictures() -> Finding:
    from monitor.charts.raster import FontMissing, check_text

    try:
        check_text()
    except FontMissing as error:
        return Finding("pictures", well=False, detail=str(error), advice="install the monitor's requirements again")
    return Finding("pictures", well=True, detail="drawn, with text")


async def _feed(name: str, feed: FeedSettings) -> Finding:
    """Whether something listens at the feed's address."""
    import asyncio
    from urllib.parse import urlsplit

    label = f"feed {name}"
    if feed.type == "simulator":
        return Finding(label, well=True, detail=f"simulator, {feed.scenario}")
    if feed.type == "replay":
        return Finding(label, well=True, detail=f"replay of {feed.data}")
    if feed.type == "file":
        return Finding(label, well=True, detail=f"folder {feed.folder}")
    if feed.type == "series" and feed.url is None:
        return Finding(label, well=True, detail=f"series of {feed.data}")
    place = feed.url.get_secret_value() if feed.type == "series" and feed.url else ""

    from monitor.protocols import protocol

    address = urlsplit(place if feed.type == "series" else protocol(feed, name).address().url)
    secure = address.scheme in {"wss", "https", "mqtts", "rediss"}
    usual = {"mqtt": 1883, "mqtts": 8883, "redis": 6379, "rediss": 6379}.get(address.scheme, 443 if secure else 80)
    host, port = address.hostname or "", address.port or usual
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=secure or None)
    except TimeoutError:
        problem = f"no answer within {PATIENCE:g} s"
    except OSError as error:
        problem = error.strerror or str(error)
    else:
        writer.close()
        return Finding(label, well=True, detail=f"{host}:{port} answers")
    return Finding(
        label, well=False, detail=f"{host}:{port}: {problem}", advice="check the network, the proxy and `url`"
    )


def _files(settings: Settings) -> Iterator[Finding]:
    from monitor.data_files import DataFileError, read

    replays = [feed.data for feed in settings.feeds.values() if feed.type == "replay"]
    for path in [*settings.history_files, *replays]:
        try:
            read(path)
        except DataFileError as error:
            yield Finding(
                f"file {path.name}", well=False, detail=str(error), advice="see `rotation history import --help`"
            )
        else:
            yield Finding(f"file {path.name}", well=True, detail="readable")


async def _history(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the configured history fits what is stored, and has no jump that looks like a split nobody named."""
    import datetime as dt

    from monitor.calendar import CalendarError, TradingCalendar
    from monitor.cli.recorded import read_history
    from monitor.corporate_actions.book import ActionBook
    from monitor.corporate_actions.screen import screened
    from monitor.history.overlap import newest_stored
    from monitor.store.base import StoreError
    from monitor.store.factory import open_store

    files = [path for path in settings.history_files if path.exists()]
    if not files or (settings.store.embedded and _running_monitor(settings.store.data_dir)):
        return  # a running monitor says so itself, as health conditions
    try:
        bars, _ = read_history(files, TradingCalendar(settings.calendar))
        store = settings.store
        async with open_store(store.url.get_secret_value(), store.data_dir, time_out=PATIENCE) as opened:
            book = await ActionBook.open(opened, [e.data for e in settings.corporate_actions], dividends=True)
            traded = await newest_stored(opened, dt.date.min, dt.date.max)
    except Fault as error:
        yield Finding("history", well=False, detail=str(error), advice="see `rotation history import --help`")
        return
    except (CalendarError, StoreError):
        return  # said above, of the calendar or the store
    if book.error:
        yield Finding("corporate actions", well=False, detail=book.error, advice="correct that file")
    _, objections = screened([bars], [traded] if traded.height else [], book.actions)
    for objection in objections:
        about = f"history {objection.symbol}"
        yield Finding(about, well=False, detail=objection.condition, advice=objection.reason)
    if bars.height and not objections:
        yield Finding(
            "history", well=True, detail=f"{bars['symbol'].n_unique()} symbols, at the level of what is stored"
        )


def _receivers(settings: Settings) -> Iterator[Finding]:
    from monitor.notify.receivers import validate

    for name, receiver in settings.receivers.items():
        wrong = [text for url in receiver.urls if (text := validate(url.get_secret_value()))]
        label = f"receiver {name}"
        if wrong:
            yield Finding(
                label, well=False, detail="; ".join(wrong), advice=f"correct `receivers: {{{name}: {{urls}}}}`"
            )
        else:
            yield Finding(label, well=True, detail=f"{len(receiver.urls)} address(es) understood; nothing was sent")
