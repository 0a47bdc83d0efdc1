"""The page of feeds: how each connection and each instrument on it is doing, worst first."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Protocol

import msgspec
from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from monitor import feed_flow
from monitor.compute import ComputeThread
from monitor.feed_flow import Flow, Instruments, Pulse, Sort
from monitor.feeds import LineFigures
from monitor.lags import Lags
from monitor.logs import SECRETS
from monitor.notify.values import utc
from monitor.pipeline import Pipeline

FIRST: Final = 100
"""Instruments in the answer about one feed; the others are asked for a page at a time."""
MOST: Final = 1_000
_NAME: Final = 200
_SECOND: Final = 1_000_000_000


class Daemon(Protocol):
    """What is shown of the daemon."""

    compute: ComputeThread

    def feeds(self) -> list[dict[str, Any]]:
        """Every feed's connection in words and numbers."""

    def line(self, feed: str) -> LineFigures:
        """What else is counted of a feed's line."""


Name = Annotated[str, Path(max_length=_NAME)]
Search = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


def feed_page(daemon: Daemon) -> APIRouter:
    """The routes."""
    router = APIRouter()

    def told(feed: dict[str, Any], looked: _Look) -> dict[str, Any]:
        return _told(feed, looked, daemon.line(feed["name"]))

    def listed(looked: _Look) -> list[dict[str, Any]]:
        feeds = daemon.feeds()
        names = {feed["name"] for feed in feeds}
        # Rows of a feed that nobody configured were sent in.
        sent = [{"name": name, **_SENT_IN, "rows": {"rows": rows}} for name, rows in looked.rows.items()]
        return [*feeds, *(feed for feed in sent if feed["name"] not in names)]

    def named(name: str, looked: _Look) -> dict[str, Any]:
        found = next((feed for feed in listed(looked) if feed["name"] == name), None)
        if found is None:
            raise HTTPException(404, f"there is no feed {name[:_NAME]!r}")
        return found

    @router.get("/api/v1/feeds", response_model=list[dict[str, Any]])
    async def feeds() -> Response:
        """Every feed: its connection, rate, lag, gaps, conflation, last error, and what was refused, by cause."""
        looked = await daemon.compute.run(_Look)
        return _json([told(feed, looked) for feed in listed(looked)])

    @router.get("/api/v1/feeds/{name}", response_model=dict[str, Any])
    async def feed(name: Name) -> Response:
        """One feed, the instruments that do worst, and samples of what was refused, by cause."""
        looked, all_of_them, refused = await daemon.compute.run(
            lambda p: (_Look(p), Instruments(p, name), _refused(p, name))
        )
        found, line = named(name, looked), daemon.line(name)
        page = await _page(all_of_them, line, feed_flow.Query(limit=FIRST))
        answer = {**told(found, looked), "instruments": page["instruments"], "refused_rows": refused}
        return _json({**answer, "unreadable_frames": _unreadable(line)})

    @router.get("/api/v1/feeds/{name}/instruments", response_model=dict[str, Any])
    async def instruments(
        name: Name,
        sort: Sort = Sort.WORST,
        pulse: Pulse | None = None,
        search: Search = "",
        limit: Limit = FIRST,
        offset: Offset = 0,
    ) -> Response:
        """A page of a feed's instruments: rate, lag, silence, gaps, conflated and refused rows of each."""
        looked, all_of_them = await daemon.compute.run(lambda p: (_Look(p), Instruments(p, name)))
        named(name, looked)
        query = feed_flow.Query(sort, search, str(pulse or ""), limit, offset)
        return _json(await _page(all_of_them, daemon.line(name), query))

    return router


class _Look:
    """What the compute thread knows of all feeds, taken at once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.flows = {flow.feed: flow for flow in feed_flow.flows(pipeline)}
        truth = pipeline.truth
        self.watermarks, self.rows = dict(truth.watermarks()), dict(truth.rejects.seen)
        self.now, self.follows_wall = pipeline.state.now, pipeline.follows_wall


_SENT_IN: Final = {"status": "live", "last_error": None}
_NOTHING: Final = Flow("", 0, 0.0, 0, 0, 0, 0, 0, 0, 0, Lags().told(), {}, ())


def _told(feed: dict[str, Any], looked: _Look, line: LineFigures) -> dict[str, Any]:
    name = feed["name"]
    flow = looked.flows.get(name, _NOTHING)
    behind = max(0, looked.now - looked.watermarks[name]) / _SECOND if name in looked.watermarks else None
    return {
        **feed,
        "filtered": flow.filtered,
        "behind_seconds": behind,
        "instruments_heard": flow.instruments,
        "instruments_silent": flow.silent,
        "rows_per_second": flow.rows_per_second,
        # Where event time is that of a replay, it says nothing of the way here.
        "event_to_receive": line.lag.told() if looked.follows_wall else Lags().told(),
        "receive_to_state": flow.state_lag,
        "locked": flow.locked,
        "corrected": flow.corrected,
        "untraced": flow.untraced,
        "shadowed": flow.shadowed,
        "switches": flow.switches,
        "disagreeing": flow.disagreeing,
        "disagreements": flow.disagreements,
    }


async def _page(instruments: Instruments, line: LineFigures, query: feed_flow.Query) -> dict[str, Any]:
    counted = {"gaps": dict(line.gaps), "conflated": dict(line.conflated)}
    return await asyncio.to_thread(instruments.page, query, counted)


def _refused(pipeline: Pipeline, feed: str) -> list[dict[str, Any]]:
    return [
        {"cause": str(e.cause), "kind": e.kind, "event_time": e.event_time, "row": dict(e.row)}
        for e in pipeline.truth.rejects.examples(feed)
    ]


def _unreadable(line: LineFigures) -> list[dict[str, Any]]:
    return [
        {
            "cause": each.cause,
            "received_at": utc(each.received_at),
            "frame": SECRETS.masked(each.frame),
            "bytes": each.size,
            "received_together": each.among,
        }
        for each in line.unreadable
    ]


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
