"""What a daemon that stands by answers: that it lives, and who leads. It knows of no alerts."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Standing:
    """Who leads, as it was last seen."""

    leader = ""

    @property
    def app(self) -> Starlette:
        """`/-/healthy` is true; everything else, `/-/ready` first of all, is for the leader to answer."""
        return Starlette(
            routes=[
                Route("/-/healthy", self._healthy, methods=["GET"]),
                Route("/{path:path}", self._not_here, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ]
        )

    async def _healthy(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("standing by\n")

    async def _not_here(self, _request: Request) -> PlainTextResponse:
        epoch, _, owner = self.leader.partition(":")
        return PlainTextResponse(
            f"standing by: {owner} leads (epoch {epoch})\n", status_code=503, headers={"Retry-After": "2"}
        )
