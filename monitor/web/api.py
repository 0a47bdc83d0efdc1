"""Health, metrics and the API over HTTP; what is shown comes from the daemon's own objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol, cast
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from monitor import queries
from monitor.alerting.dispatcher import Dispatcher
from monitor.compute import ComputeThread
from monitor.notify.outbox import Notifier
from monitor.pipeline import Pipeline
from monitor.settings.web import WebSettings
from monitor.store.base import Store, StoreError
from monitor.web import answers, frames
from monitor.web.access import Access, Guard
from monitor.web.alerts import add_alerts
from monitor.web.audit import Audit, audit
from monitor.web.events import EventStream, TooManyListeners
from monitor.web.page import add_page
from monitor.web.principals import principal
from monitor.web.problems import Problem
from monitor.web.scopes import Scope, needs
from monitor.web.sign_in import add_sign_in

_ALERTS: Final = 200
"""Alerts in a snapshot: more than anybody reads, and the bound of what a second's snapshot costs."""

Symbol = Annotated[str, Query(min_length=1, max_length=64)]


class Daemon(Protocol):
    """What the API shows of the daemon beyond its pipeline."""

    compute: ComputeThread
    store: Store
    dispatcher: Dispatcher
    notifier: Notifier
    events: EventStream
    zone: ZoneInfo
    """The exchange's."""

    def troubles(self) -> list[dict[str, Any]]:
        """Health conditions that hold now, as :class:`~monitor.web.answers.Condition`."""

    def unready(self) -> list[str]:
        """Why alerts cannot be decided or kept at the moment; empty if they can."""

    def feeds(self) -> list[dict[str, Any]]:
        """Every feed's connection in words and numbers: ``name``, ``status``, and what else there is to tell."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """All figures as text, and its content type, for who accepts that."""

    async def reload(self) -> list[str]:
        """Read the rules again; the errors, if they are wrong and the old ones stay."""


def create_app(daemon: Daemon, web: WebSettings) -> FastAPI:
    """The application.

    A route says what it needs with :func:`~monitor.web.scopes.needs`, and what it changes with
    :func:`~monitor.web.audit.audit`.
    """
    guard = Guard(web, Audit(daemon.store))
    daemon.events.most = web.event_streams
    described = [Depends(HTTPBearer(auto_error=False, description="a token of the configuration"))]
    app = FastAPI(
        title="Rotation Monitor",
        version="1",
        description="Times are RFC 3339 in UTC, ratios are fractions (0.01 is 100bp), and what is unknown is null.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=described
        if guard.keyring
        else [],  # only described there: Access is what checks, unknown paths too
        responses={code: {"model": answers.Problem, "description": text} for code, text in _PROBLEMS.items()},
    )
    app.add_middleware(Access, guard=guard, routes=app.router.routes)
    for error, handler in _HANDLERS.items():
        app.add_exception_handler(error, handler)
    _operations(app, daemon)
    add_alerts(app, daemon)
    _rules(app, daemon)
    _market(app, daemon)
    _events(app, daemon)
    add_sign_in(app, guard)
    add_page(app)
    return app


async def snapshot(daemon: Daemon) -> bytes:
    """What the event stream sends once a second; JSON of :class:`~monitor.web.answers.Snapshot`."""

    def at_one_moment(pipeline: Pipeline) -> tuple[answers.Summary, list[answers.Alert], list[answers.Series]]:
        return queries.summary(pipeline), queries.alerts(pipeline, _ALERTS), queries.records(pipeline)

    summary, alerts, records = await daemon.compute.run(at_one_moment)
    shown: answers.Snapshot = {"status": _status(daemon, summary), "alerts": alerts, "records": records}
    return msgspec.json.encode(shown)


def _status(daemon: Daemon, summary: answers.Summary) -> answers.Status:
    reasons = daemon.unready()
    waiting, dead = daemon.notifier.depth or (None, None)
    return {
        **summary,
        "ready": not reasons,
        "reasons": reasons,
        "health": cast("list[answers.Condition]", daemon.troubles()),
        "feeds": daemon.feeds(),
        "zone": str(daemon.zone),
        "notifications": {"waiting": waiting, "dead": dead},
    }


# --- routes ----------------------------------------------------------------------------------------------------------


def _operations(app: FastAPI, daemon: Daemon) -> None:
    @app.get("/-/healthy", response_class=PlainTextResponse)
    @needs(Scope.PUBLIC)
    async def healthy() -> str:
        """200 while the process runs and answers."""
        return "ok\n"

    @app.get("/-/ready", response_class=PlainTextResponse)
    @needs(Scope.PUBLIC)
    async def ready(request: Request, response: Response) -> str:
        """200 when alerts can be decided and kept; 503 otherwise, with the reasons for who may read."""
        if reasons := daemon.unready():
            response.status_code = 503
            if principal(request).scope < Scope.READ:
                return "not ready\n"
            return "".join(f"{reason}\n" for reason in reasons)
        return "ready\n"

    @app.post("/-/reload", response_class=PlainTextResponse)
    @needs(Scope.OPERATE)
    async def reload(request: Request, response: Response) -> str:
        """Read the rule files again; 422 with the errors where they are wrong, and the old rules stay."""
        audit(request, "rules reloaded")
        if errors := await daemon.reload():
            response.status_code = 422
            return "".join(f"{error}\n" for error in errors)
        return "reloaded\n"

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """All figures, OpenMetrics."""
        text, content_type = daemon.metrics(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    @app.get("/api/v1/status", response_model=answers.Status)
    async def status() -> Response:
        """Event time, counts, feeds and what is wrong."""
        return _json(_status(daemon, await daemon.compute.run(queries.summary)))


def _rules(app: FastAPI, daemon: Daemon) -> None:
    @app.get("/api/v1/rules", response_model=list[answers.AlertRule | answers.Series])
    async def rules() -> Response:
        """Every alert rule with its instances' states and verdicts, every named series with its value."""
        return _json(await daemon.compute.run(queries.rules))


def _market(app: FastAPI, daemon: Daemon) -> None:
    @app.get("/api/v1/state", response_model=answers.State)
    async def state(symbol: Annotated[list[Symbol], Query(max_length=1000)] = []) -> Response:  # noqa: B006 - never changed
        """Last quotes and trades, of all instruments or those named, and what the filter refused."""
        last, rejected = await daemon.compute.run(lambda p: (p.state.quotes_frame(), queries.rejected(p)))
        rows = frames.as_json(frames.of_symbols(last, symbol) if symbol else last)
        return _json({"quotes": msgspec.Raw(rows), "rejected": rejected})

    @app.get("/api/v1/bars", response_model=list[answers.Bar])
    async def bars(
        symbol: Symbol,
        resolution: Annotated[str, Query(pattern="^(1m|1d)$")] = "1d",
        since: dt.date | None = None,
        limit: Annotated[int, Query(ge=1, le=50_000)] = 5_000,
    ) -> Response:
        """The newest stored closed bars of one instrument, from a date (UTC) on, oldest first."""
        rows = await frames.stored_bars(daemon.store, resolution, symbol, since, limit)
        return Response(frames.as_json(rows), media_type="application/json")


def _events(app: FastAPI, daemon: Daemon) -> None:
    @app.get(
        "/api/v1/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "A stream of server-sent events."}},
    )
    async def events() -> StreamingResponse:
        """Server-sent events.

        ``snapshot`` once a second (status, alerts, records), ``transition`` as each is committed, ``silence`` and
        ``ack`` as people speak, and ``missed`` where
        this listener was too slow and transitions were left out: ask `/api/v1/transitions` for them.
        """
        return StreamingResponse(daemon.events.subscribe(), media_type="text/event-stream")


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


# --- errors ----------------------------------------------------------------------------------------------------------

_PROBLEMS: Final = {
    400: "The body cannot be read.",
    401: "The token is missing or wrong.",
    403: "The token is not good for that, or another site's page asked.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    422: "A parameter makes no sense.",
    429: "Too many requests, or wrong tokens: `Retry-After` says when to come back.",
    503: "The store is away, or too many programs listen.",
}


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return Problem(error.status_code, error.detail, dict(error.headers or {}))


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    said = (f"{' '.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return Problem(422, "; ".join(said))


async def _store_away(_: Request, error: Exception) -> Response:
    return Problem(503, f"the store cannot be asked: {error}")


async def _busy(_: Request, error: Exception) -> Response:
    return Problem(503, str(error), {"Retry-After": "10"})


async def _broken(_: Request, error: Exception) -> Response:
    return Problem(500, f"this is a mistake of the monitor, which has logged it: {type(error).__name__}")


_HANDLERS: Final[dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    HTTPException: _http_error,
    RequestValidationError: _invalid,
    StoreError: _store_away,
    TooManyListeners: _busy,
    Exception: _broken,
}
