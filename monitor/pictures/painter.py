"""Pictures on demand, each within its time: a message waits for its picture for a moment, and then goes without."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

import structlog

from monitor import clock
from monitor.calendar import TradingCalendar
from monitor.charts.png import PictureError, Rasterizer
from monitor.charts.svg import Size, document, label
from monitor.charts.theme import Theme
from monitor.notify.message import AlertNotice, Kind, Notification
from monitor.notify.sender import Picture, Pictures
from monitor.pictures import past
from monitor.pictures.drawing import Drawing, NothingKnown, drawing
from monitor.pictures.subject import Subject, subject
from monitor.pipeline import Pipeline
from rules.ast import Asset
from rules.ruleset import AlertRule

_KEPT: Final = 16
"""Pictures that are kept for other receivers of the same news, and for a retry."""
_WAITING: Final = 8
"""Pictures being made at a time; further messages go without: a burst of alerts is not to wait for its pictures."""
_HUNG: Final = 5.0
"""Seconds after which a picture that nobody waits for any more is given up, and its process with it."""
_WARM: Final = 30.0
"""Seconds that the first picture may take: the process starts, and reads its fonts."""
_LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a picture that is sent."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
"""Characters of an episode's id that are not written into a file's name."""

_LOG = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

OnOutcome = Callable[[str, float], None]
"""Told of each picture asked for: ``drawn``, ``late``, ``busy``, ``failed`` or ``nothing``, and its seconds."""


class Compute(Protocol):
    """The thread that owns the pipeline (:class:`monitor.compute.ComputeThread`)."""

    def run(self, call: Callable[Concatenate[Pipeline, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of ``call(pipeline, *args)``, computed there."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a message is about."""

    told: AlertNotice
    theme: Theme

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.told.episode, str(self.told.kind), self.told.at, str(self.theme)


class Painter:
    """Makes the picture of a notification; every failure of it is an outcome, never an error of the message.

    `deadline`: seconds a message waits for its picture. One that is late is finished all the same, for whoever asks
    next: the other receivers of the news, or a retry.
    """

    def __init__(
        self,
        worker: Rasterizer,
        calendar: TradingCalendar,
        *,
        deadline: float = 0.3,
        on_outcome: OnOutcome = lambda _outcome, _seconds: None,
    ) -> None:
        self._worker, self._calendar = worker, calendar
        self._compute: Compute | None = None
        self._deadline, self._on_outcome = deadline, on_outcome
        self._made: OrderedDict[tuple[str, str, int, str], asyncio.Task[Picture | None]] = OrderedDict()
        self._making: set[asyncio.Task[Picture | None]] = set()
        # One thread: what it does holds the interpreter's lock, and more of them would only take it from the loop.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def look_at(self, compute: Compute) -> None:
        """Draw what this thread's pipeline has seen; before it there are no pictures."""
        self._compute = compute

    def on(self, theme: Theme) -> Pictures:
        """The pictures for a receiver, on light or on dark ground."""
        return _Themed(self, theme)

    async def warm_up(self) -> None:
        """Start the process, so that the first alert need not wait for it; whether pictures can be drawn is logged."""
        letters = document([label(4, 20, "Rotation")], Size(90, 30), Theme.LIGHT, "", "")
        try:
            await self._worker.png(letters, _WARM)
        except (PictureError, OSError) as error:
            _LOG.error("pictures cannot be drawn, messages go without: see `rotation doctor`", reason=str(error))
        else:
            _LOG.info("pictures can be drawn")

    async def of(self, notification: Notification, theme: Theme) -> Picture | None:
        """The picture of a message's alert, of a group's first; None where there is none in time."""
        told = notification.notices[0]
        if told.kind is Kind.NOTE or not told.evidence:
            return None
        wanted = _Wanted(told, theme)
        began = clock.monotonic()
        task = self._made.get(wanted.key)
        if task is None:
            if len(self._making) >= _WAITING:
                self._tell("busy", 0.0, wanted)
                return None
            task = self._begin(wanted)
        await asyncio.wait({task}, timeout=self._deadline)
        if not task.done():
            self._tell("late", clock.monotonic() - began, wanted)
            return None
        return task.result()

    def refused(self, notification: Notification, reason: str) -> None:
        """A service has the message, and did not take its picture."""
        self._on_outcome("refused", 0.0)
        _LOG.warning("picture not delivered, its message was", key=notification.key, reason=reason)

    async def close(self) -> None:
        """Give up what is being drawn."""
        for task in tuple(self._making):
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, wanted: _Wanted) -> asyncio.Task[Picture | None]:
        task = asyncio.create_task(self._make(wanted), name=f"picture {wanted.told.episode}")
        self._made[wanted.key] = task
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return task

    async def _make(self, wanted: _Wanted) -> Picture | None:
        """Draw it; None where it cannot be drawn, which is told."""
        began = clock.monotonic()
        outcome, picture, reason = "failed", None, ""
        try:
            picture = await self._drawn(wanted)
            outcome = "nothing" if picture is None else "drawn"
        except NothingKnown as error:
            outcome, reason = "nothing", str(error)
        except (PictureError, OSError) as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a picture must never cost its message
            _LOG.exception("picture failed", episode=wanted.told.episode)
            reason = f"{type(error).__name__}: {error}"
        self._tell(outcome, clock.monotonic() - began, wanted, reason)
        return picture

    async def _drawn(self, wanted: _Wanted) -> Picture | None:
        told = wanted.told
        if self._compute is None:
            return None
        found = await self._compute.run(past.instance, told.alert, told.member)
        if found is None:
            return None
        loop = asyncio.get_running_loop()
        about = await loop.run_in_executor(self._pool, self._subject, *found)
        seen = await self._compute.run(past.past, about, told.at, told.value)
        made: Drawing = await loop.run_in_executor(self._pool, drawing, told, about, seen, self._calendar, wanted.theme)
        png = await self._worker.png(made.svg, _HUNG)
        if len(png) > _LARGEST:
            raise PictureError(f"the picture has {len(png):,} bytes, more than is sent")
        return Picture(png, f"{_UNSAFE.sub('-', told.episode)}.png", made.words)

    def _subject(self, rule: AlertRule, member: Asset | None) -> Subject:
        return subject(rule, member, self._calendar.session_ns)

    def _tell(self, outcome: str, seconds: float, wanted: _Wanted, reason: str = "") -> None:
        self._on_outcome(outcome, seconds)
        if outcome in ("late", "busy", "failed"):
            _LOG.warning(
                "message goes without its picture",
                outcome=outcome,
                episode=wanted.told.episode,
                seconds=round(seconds, 3),
                **({"reason": reason} if reason else {}),
            )


@dataclass(frozen=True, slots=True)
class _Themed:
    """One receiver's pictures."""

    painter: Painter
    theme: Theme

    async def of(self, notification: Notification) -> Picture | None:
        return await self.painter.of(notification, self.theme)

    def refused(self, notification: Notification, reason: str) -> None:
        self.painter.refused(notification, reason)
