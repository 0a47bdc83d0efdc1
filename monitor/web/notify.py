"""The routes about receivers: notifications that were given up, sending them again, and test messages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, Protocol, Self

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator, with_config
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from monitor import clock
from monitor.notify.dead_letters import DeadLetters
from monitor.notify.outbox import Notifier
from monitor.store.base import Store
from monitor.web.alerts import paged
from monitor.web.audit import audit
from monitor.web.principals import principal
from monitor.web.scopes import Scope, needs

_ID = "^[0-9]{1,15}-[0-9]{1,18}$"
Limit = Annotated[int, Query(ge=1, le=1_000)]
Before = Annotated[str, Query(pattern=f"^$|{_ID}", description="the last id of the page before")]
Name = Annotated[str, Query(max_length=300)]
LetterId = Annotated[str, StringConstraints(pattern=_ID)]

_documented = with_config(ConfigDict(use_attribute_docstrings=True))


@_documented
class DeadLetter(TypedDict):
    """A notification that was given up. Of one that could not be read, most is empty."""

    id: str
    key: str
    """The idempotency key; it stays the same when the message is sent again."""
    receiver: str
    alert: str
    member: str
    episode: str
    kind: str
    severity: str
    summary: str
    at: str | None
    """When it was decided, by the daemon's clock."""
    given_up_at: str
    attempts: int
    error: str
    """What the service said last."""


@_documented
class Requeued(TypedDict):
    """What became of dead letters that were to be sent again."""

    requeued: list[str]
    left: list[str]
    """Of no dead letter (any more), or still on the way to being one."""


@_documented
class Tried(TypedDict):
    """What came of a test message."""

    receiver: str
    target: str
    """Where it went, without secrets."""
    verdict: Literal["delivered", "transient", "fatal", "rejected"]
    detail: str
    """What the service said."""
    seconds: float


class WantedRequeue(BaseModel):
    """Which dead letters are to be sent again: one of the three."""

    model_config = ConfigDict(extra="forbid")

    ids: list[LetterId] | None = Field(default=None, min_length=1, max_length=1_000)
    receiver: str | None = Field(default=None, min_length=1, max_length=300, description="all of this receiver")
    all: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.ids is not None) + (self.receiver is not None) + self.all != 1:
            raise ValueError("give `ids`, `receiver`, or `all`: one of the three")
        return self


class WantedTest(BaseModel):
    """Who gets a test message."""

    model_config = ConfigDict(extra="forbid")

    receiver: str = Field(min_length=1, max_length=300)


class Daemon(Protocol):
    """What these routes show of the daemon."""

    store: Store
    notifier: Notifier


def notify_routes(daemon: Daemon) -> APIRouter:
    """The routes."""
    router, notifier = APIRouter(), daemon.notifier
    letters = DeadLetters(daemon.store, notifier.forget)

    @router.get("/api/v1/notify/dead", response_model=list[DeadLetter])
    async def dead(request: Request, limit: Limit = 100, before: Before = "", receiver: Name = "") -> Response:
        """Notifications that were given up, newest first; the header `Link` has the address of the next page."""
        return paged(request, [asdict(each) for each in await letters.newest(limit, before, receiver)], limit)

    @router.post("/api/v1/notify/requeue", response_model=Requeued)
    @needs(Scope.OPERATE)
    async def requeue(request: Request, wanted: WantedRequeue) -> Response:
        """Send dead letters again, with the idempotency keys they had."""
        target = ", ".join(wanted.ids or ()) or wanted.receiver or "all"
        if wanted.ids is not None:
            done = await letters.requeue(wanted.ids)
        else:
            done = await letters.requeue_all(wanted.receiver or "")
        audit(request, "dead letters requeued", target, count=len(done.requeued))
        return _json(asdict(done))

    @router.post("/api/v1/notify/test", response_model=Tried)
    @needs(Scope.OPERATE)
    async def test(request: Request, wanted: WantedTest) -> Response:
        """Send one receiver a test message, now and once, and say what the service answered."""
        target = notifier.targets.get(wanted.receiver)
        if target is None:
            known = ", ".join(sorted(notifier.targets)) or "none"
            raise HTTPException(404, f"there is no receiver {wanted.receiver!r}; there are: {known}")
        began = clock.monotonic()
        tried = await notifier.try_out(wanted.receiver, principal(request).name)
        audit(request, "test message sent", wanted.receiver, verdict=str(tried.verdict))
        seconds = clock.monotonic() - began
        return _json(
            {
                "receiver": wanted.receiver,
                "target": target,
                "verdict": str(tried.verdict),
                "detail": tried.detail,
                "seconds": round(seconds, 3),
            }
        )

    return router


def _json(answer: Any) -> Response:  # noqa: ANN401 - any JSON
    return Response(msgspec.json.encode(answer), media_type="application/json")
