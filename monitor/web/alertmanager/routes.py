"""The routes of the Alertmanager API under ``/api/v2``.

Errors have its forms: a JSON text for what cannot be done, ``{"code", "message"}`` for what is malformed. Query
parameters that are not known are passed over, as Alertmanager does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.routing import Match

from monitor import clock
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.matchers import MatcherError
from monitor.alerting.policy import Policy
from monitor.alerting.silences import Silence, SilenceError, UnknownSilence
from monitor.store.base import StoreError
from monitor.web.alertmanager import posted, query, shapes, shown, times
from monitor.web.audit import audit
from monitor.web.problems import clipped
from monitor.web.scopes import Scope, needs

_VERSION: Final[shapes.VersionInfo] = {
    "version": "0.25.0",
    "revision": "",
    "branch": "rotation-monitor",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}
_ALERTS_BODY: Final = 8 * 2**20
"""Bytes of a post of alerts."""
_PATIENCE: Final = 10.0
"""Seconds that a post of alerts waits until they are stored."""
_NO_ID: Final = str(UUID(int=0))
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Filters = Annotated[list[str], Query(alias="filter", description='matchers, such as severity=~"warning|critical"')]
Flag = Annotated[str, Query(description="true or false")]


def alertmanager(
    dispatcher: Dispatcher, policy: Policy, receivers: Sequence[str], original: str, started: int
) -> APIRouter:
    """The API over a dispatcher.

    `receivers` are the names of all there are, `original` is the configuration as Alertmanager would have it, `started`
    when the monitor was started, UTC ns.
    """
    router = APIRouter(prefix="/api/v2", tags=["alertmanager"], responses=shapes.ERRORS)
    _general(router, receivers, original, started)
    _alerts(router, dispatcher, policy)
    _silences(router, dispatcher)
    _rest(router)
    return router


def _general(router: APIRouter, receivers: Sequence[str], original: str, started: int) -> None:
    @router.get("/status", response_model=shapes.AlertmanagerStatus)
    async def status() -> Response:
        """What answers, and its configuration."""
        return _json(
            {
                "cluster": {"peers": [], "status": "disabled"},
                "config": {"original": original},
                "uptime": times.text(started),
                "versionInfo": _VERSION,
            }
        )

    @router.get("/receivers", response_model=list[shapes.Receiver])
    async def names() -> Response:
        """The receivers."""
        return _json([{"name": name} for name in receivers])


def _alerts(router: APIRouter, dispatcher: Dispatcher, policy: Policy) -> None:
    @router.get("/alerts", response_model=list[shapes.GettableAlert])
    @_answering
    async def alerts(
        filters: Filters = [],  # noqa: B006 - never changed
        receiver: str = "",
        active: Flag = "true",
        silenced: Flag = "true",
        inhibited: Flag = "true",
        unprocessed: Flag = "true",
        muted: Flag = "true",
    ) -> Response:
        """Alerts that fire: of rules, of the monitor's health, and of other programs.

        None is ever `unprocessed` here: an alert is shown once it is routed.
        """
        del unprocessed
        flags = {"active": active, "silenced": silenced, "inhibited": inhibited, "muted": muted}
        return _json(await shown.Shown(dispatcher, policy).alerts(query.wanted(filters, receiver, flags)))

    @router.get("/alerts/groups", response_model=list[shapes.AlertGroup])
    @_answering
    async def groups(
        filters: Filters = [],  # noqa: B006 - never changed
        receiver: str = "",
        active: Flag = "true",
        silenced: Flag = "true",
        inhibited: Flag = "true",
        muted: Flag = "true",
    ) -> Response:
        """The same alerts, a list for each group and receiver."""
        flags = {"active": active, "silenced": silenced, "inhibited": inhibited, "muted": muted}
        return _json(await shown.Shown(dispatcher, policy).groups(query.wanted(filters, receiver, flags)))

    @router.post("/alerts", response_class=Response, openapi_extra=shapes.body(list[shapes.PostableAlert]))
    @needs(Scope.OPERATE, body=_ALERTS_BODY)
    @_answering
    async def post(request: Request) -> Response:
        """Take in alerts of another program; the answer comes once they are stored.

        Those that are wrong are refused, the others taken in. One whose `endsAt` is past is over; without it, it is
        over after five minutes unless it is posted again.
        """
        _check_media_type(request)
        good, wrong = posted.alerts(await request.body(), clock.wall_ns())
        audit(request, "alerts posted", often=True, alerts=len(good))
        if good:
            async with asyncio.timeout(_PATIENCE):
                await dispatcher.receive(good)
        if wrong:
            raise posted.Refused("; ".join(dict.fromkeys(wrong)))
        return Response()


def _silences(router: APIRouter, dispatcher: Dispatcher) -> None:
    @router.get("/silences", response_model=list[shapes.GettableSilence])
    @_answering
    async def silences(filters: Filters = []) -> Response:  # noqa: B006 - never changed
        """Every silence, expired ones for five days; those whose matchers' values fulfil the filters."""
        conditions, wall = query.parsed(filters), clock.wall_ns()
        found = [each for each in dispatcher.list_silences() if query.about(each, conditions)]
        return _json([shown.silence(each, wall) for each in query.ordered(found, wall)])

    @router.post("/silences", response_model=shapes.SilenceId, openapi_extra=shapes.body(shapes.PostableSilence))
    @needs(Scope.OPERATE)
    @_answering
    async def add(request: Request) -> Response:
        """Add a silence or, where `id` is given, change that one.

        Where matchers change, or it has expired, it becomes a new one and the old one ends: the answer has its id.
        """
        _check_media_type(request)
        wanted = _as_known(posted.silence(await request.body()), dispatcher)
        silence_id = await dispatcher.set_silence(wanted)
        what = "silence changed" if wanted.id else "silence added"
        audit(
            request, what, silence_id, matchers=", ".join(map(str, wanted.matchers)), ends_at=times.text(wanted.ends_at)
        )
        return _json({"silenceID": silence_id})

    @router.get("/silence/{silence_id}", response_model=shapes.GettableSilence, responses=_NO_SILENCE)
    @_answering
    async def silence(silence_id: str) -> Response:
        """One silence."""
        return _json(shown.silence(dispatcher.silences.get(silence_id), clock.wall_ns()))

    @router.delete("/silence/{silence_id}", response_class=Response, responses=_NO_SILENCE)
    @needs(Scope.OPERATE)
    @_answering
    async def expire(request: Request, silence_id: str) -> Response:
        """End a silence; one that has expired stays as it is."""
        audit(request, "silence expired", silence_id)
        await dispatcher.expire_silence(silence_id)
        return Response()


def _rest(router: APIRouter) -> None:
    known = list(router.routes)

    @router.api_route("/{path:path}", methods=list(_METHODS), include_in_schema=False)
    @needs(Scope.READ)
    async def unknown(request: Request) -> Response:
        """Whatever else is asked for: an error in the API's form."""
        methods = [
            method
            for method in _METHODS
            if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in known)
        ]
        if not methods:
            return _mistake(404, 404, f"path {request.url.path[:200]} was not found")
        message = f"method {request.method} is not allowed, but [{','.join(methods)}] are"
        return _mistake(405, 405, message, {"Allow": ", ".join(methods)})


def _as_known(wanted: Silence, dispatcher: Dispatcher) -> Silence:
    """A silence to change begins when it began, where the request says so to the millisecond.

    An id that is all zeros is none.
    """
    if wanted.id == _NO_ID:
        return replace(wanted, id="")
    known = dispatcher.silences.by_id.get(wanted.id)
    if known is not None and known.starts_at // 1_000_000 == wanted.starts_at // 1_000_000:
        return replace(wanted, starts_at=known.starts_at)
    return wanted


# --- answers ----------------------------------------------------------------------------------------------------------

_NO_SILENCE: Final[dict[int | str, dict[str, Any]]] = {404: {"model": str, "description": "There is no such silence."}}


def _answering(endpoint: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """The endpoint, with its errors as Alertmanager puts them."""

    @wraps(endpoint)
    async def answer(*args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - the endpoint's
        try:
            return await endpoint(*args, **kwargs)
        except posted.Malformed as error:
            return _mistake(error.status, error.code, clipped(str(error)))
        except UnknownSilence as error:
            return _json(clipped(str(error)), 404)
        except (posted.Refused, MatcherError, SilenceError) as error:
            return _json(clipped(str(error)), 400)
        except StoreError as error:
            return _mistake(503, 503, f"the store cannot be asked: {error}")
        except TimeoutError:
            return _mistake(503, 503, "the store is away: what was posted is taken in when it is back")

    return answer


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given != "application/json":
        message = f'unsupported media type "{given[:100]}", only [application/json] are allowed'
        raise posted.Malformed(message, 415, 415)


def _mistake(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json({"code": code, "message": message}, status, headers)


def _json(answer: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(answer), status, headers, "application/json")
