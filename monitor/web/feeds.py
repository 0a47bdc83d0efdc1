"""The page of feeds: how each connection and each instrument on it is doing, worst first."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from monitor.compute import ComputeThread
from monitor.pipeline import Pipeline

MOST: Final = 200
"""Instruments and refused rows that are shown of a feed."""
_SECOND: Final = 1_000_000_000


class Daemon(Protocol):
    """What is shown of the daemon."""

    compute: ComputeThread

    def feeds(self) -> list[dict[str, Any]]:
        """Every feed's connection in words and numbers."""


def feed_page(daemon: Daemon) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/api/v1/feeds", response_model=list[dict[str, Any]])
    async def feeds() -> Response:
        """Every feed: its connection, rows, gaps, conflation, last error, and what was refused, by cause."""
        filtered, watermarks, now = await daemon.compute.run(_filtered)
        return _json([_told(feed, filtered, watermarks, now) for feed in daemon.feeds()])

    @router.get("/api/v1/feeds/{name}", response_model=dict[str, Any])
    async def feed(name: str) -> Response:
        """One feed, the instruments that were silent longest first, and the newest rows that were refused."""
        found = next((feed for feed in daemon.feeds() if feed["name"] == name), None)
        if found is None:
            raise HTTPException(404, f"there is no feed {name[:200]!r}")
        filtered, watermarks, now = await daemon.compute.run(_filtered)
        instruments, refused = await daemon.compute.run(lambda p: (_instruments(p), _refused(p, name)))
        return _json({**_told(found, filtered, watermarks, now), "instruments": instruments, "refused_rows": refused})

    return router


def _filtered(pipeline: Pipeline) -> tuple[dict[str, dict[str, int]], dict[str, int], int]:
    """By feed, rows refused by cause; the newest event time of each; and event time."""
    counts: dict[str, dict[str, int]] = {}
    for (feed, cause), count in list(pipeline.truth.rejects.counts.items()):
        counts.setdefault(feed, {})[str(cause)] = count
    return counts, dict(pipeline.truth.watermarks()), pipeline.state.now


def _told(
    feed: dict[str, Any], filtered: dict[str, dict[str, int]], watermarks: dict[str, int], now: int
) -> dict[str, Any]:
    name = feed["name"]
    behind = (now - watermarks[name]) / _SECOND if name in watermarks else None
    return {**feed, "filtered": filtered.get(name, {}), "behind_seconds": behind}


def _instruments(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The instruments of the rules, the one silent longest first: seconds since its last quote or trade."""
    frame = pipeline.state.quotes_frame()
    now = pipeline.state.now
    times = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    rows = []
    for row in frame.iter_rows(named=True):
        stamps = [frame_time for name in times if (frame_time := row[name]) is not None]
        newest = max((int(stamp.timestamp() * 1e6) * 1000 for stamp in stamps), default=None)
        rows.append({"symbol": row["symbol"], "silent_seconds": None if newest is None else (now - newest) / _SECOND})
    rows.sort(key=lambda row: (row["silent_seconds"] is not None, -(row["silent_seconds"] or 0)))
    return rows[:MOST]


def _refused(pipeline: Pipeline, feed: str) -> list[dict[str, Any]]:
    examples = [each for each in pipeline.truth.rejects.examples() if each.feed == feed]
    return [
        {"cause": str(e.cause), "kind": e.kind, "event_time": e.event_time, "row": dict(e.row)}
        for e in examples[-MOST:]
    ]


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
