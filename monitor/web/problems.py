"""Errors as JSON, in the form of the API that was asked, and the headers that every answer carries, errors included."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers say `Origin: null` when our own forms are sent.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ALERTMANAGER: Final = "/api/v2/"
_LONGEST: Final = 2_000
"""Characters of an error: what it quotes of a request may be a megabyte."""


class Problem(Response):
    """An error in one sentence: ``{"detail"}``; below ``/api/v2`` it is Alertmanager's ``{"code", "message"}``."""

    media_type = "application/json"

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        self._detail = clipped(detail)
        super().__init__(_json({"detail": self._detail}), status, {**HEADERS, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; only here is it known what was asked."""
        if scope["path"].removeprefix(scope.get("root_path", "")).startswith(_ALERTMANAGER):
            self.body = _json({"code": self.status_code, "message": self._detail})
            self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def clipped(text: str) -> str:
    """An error's text, cut where it is too long to be read."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _json(answer: object) -> bytes:
    return msgspec.json.encode(answer)
