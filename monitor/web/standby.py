"""What a daemon that stands by answers: that it lives, and that another leads. It knows of no alerts."""

from __future__ import annotations

from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from monitor.web.problems import HEADERS, Problem

_RETRY: Final = {"Retry-After": "2"}


class Standing:
    """Who leads, as it was last seen; `path` is what a proxy puts before the page's own paths.

    An ASGI application: `/-/healthy` is true; everything else, `/-/ready` first of all, is for the leader to answer. It
    is refused whatever the method, and nothing of it is kept: who sends data or acknowledges tries again.
    """

    def __init__(self, path: str = "") -> None:
        self.leader, self._path = "", path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        scope = {**scope, "root_path": self._path}
        await self._answer(scope["path"].removeprefix(self._path), scope["method"])(scope, receive, send)

    def _answer(self, path: str, method: str) -> PlainTextResponse | Problem:
        if path == "/-/healthy" and method in {"GET", "HEAD"}:
            return PlainTextResponse("standing by\n", headers={**HEADERS, "Cache-Control": "no-store"})
        epoch, _, owner = self.leader.partition(":")
        why = f"standing by: {owner} leads (epoch {epoch}); nothing was changed: ask the leader, or try again"
        return Problem(503, why, {**_RETRY, "Cache-Control": "no-store"})
