"""The page: three files of our own, shipped with the package."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from fastapi import FastAPI, Request, Response

_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
PATHS: Final = tuple(_FILES)
"""What the page is made of: no data, so open to those who have yet to give their token."""


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`; browsers ask each time whether it has changed."""
    for path, (name, media_type) in _FILES.items():
        content = (resources.files("monitor.web") / "static" / name).read_bytes()
        app.add_route(path, _Serve(content, media_type), include_in_schema=False)


class _Serve:
    def __init__(self, content: bytes, media_type: str) -> None:
        self._content = content
        self._media_type = media_type
        self._headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"', "Cache-Control": "no-cache"}

    async def __call__(self, request: Request) -> Response:
        if self._headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, headers=self._headers, media_type=self._media_type)
