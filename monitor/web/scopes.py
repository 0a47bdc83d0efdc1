"""What a request needs to be let in: a route says it with :func:`needs`; :mod:`monitor.web.access` sees to it.

=========  ===========================================================================================================
scope      what it is for
=========  ===========================================================================================================
public     the page's own files, ``/-/healthy``, ``/-/ready`` (its reasons from `read` on), signing in and out
read       every other GET and HEAD: alerts, rules, evidence, market data, metrics, the event stream, the description
operate    silences, acknowledgements, data and alerts sent in, ``/-/reload`` (of files that are read anyway)
admin      every other change, and the audit log
=========  ===========================================================================================================

Each scope includes those above it. A route that says nothing needs `read` for GET and `admin` for anything else, so
that one which forgets to say it is too strict, never too open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar

from starlette.routing import BaseRoute, Match
from starlette.types import Scope as Connection

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_MARK: Final = "__needs__"
BODY: Final = 2**20
"""Bytes of a request's body, unless its route allows more."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Scope(IntEnum):
    """What somebody may do; a greater one includes the smaller."""

    PUBLIC = 0
    READ = 1
    OPERATE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As it is written in the configuration."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Needs:
    """The scope a request needs, and the largest body (bytes) that it may have."""

    scope: Scope
    body: int = BODY


def needs(scope: Scope, *, body: int = BODY) -> Callable[[_Endpoint], _Endpoint]:
    """What an endpoint needs, written between its route and its function.

    .. code-block:: python

        @app.post("/api/v2/silences")
        @needs(Scope.OPERATE)
        async def add(request: Request, silence: PostableSilence) -> Response:
            ...
            audit(request, "silence added", silence_id)
    """

    def mark(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _MARK, Needs(scope, body))
        return endpoint

    return mark


def needed(routes: Iterable[BaseRoute], connection: Connection) -> Needs:
    """What this request needs, by the route that will answer it."""
    default = Needs(Scope.READ if connection["method"] in READING else Scope.ADMIN)
    partial: BaseRoute | None = None
    for route in _each(routes):
        match, child = route.matches(connection)
        if match is Match.FULL:
            return getattr(child.get("endpoint"), _MARK, default)
        if match is Match.PARTIAL and partial is None:
            partial = route  # its path is known, its method is not: the answer will say so
    return Needs(Scope.READ) if partial else default


def _each(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Routes one by one, those of included routers as well.

    FastAPI keeps an included router as one route, which says that it matches, and not which endpoint will answer. Ours
    are included without a prefix; below one, nothing would match here, and the strict default would hold.
    """
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _each(included.routes)
