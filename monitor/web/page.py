"""The page: files of our own, shipped with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Final

from fastapi import FastAPI, Request, Response

from monitor.web.scopes import Scope, needs

_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{
        f"/{name}": (name, "text/javascript; charset=utf-8")
        for name in ("api.js", "elements.js", "feeds.js", "page.js", "words.js")
    },
}
PATHS: Final = tuple(_FILES)
"""What the page is made of: no data, so open to those who have yet to give their token."""


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`; browsers ask each time whether it has changed."""
    for path, (name, media_type) in _FILES.items():
        content = (resources.files("monitor.web") / "static" / name).read_bytes()
        app.add_route(path, _serving(content, media_type), include_in_schema=False)


def _serving(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    @needs(Scope.PUBLIC)
    async def serve(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return serve
