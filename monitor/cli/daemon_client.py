"""How commands ask the running monitor: its address and token, and errors in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import click

from monitor.cli.configuration import config_option, find_config, settings_of
from monitor.cli.faults import Exit, Fault

if TYPE_CHECKING:
    from monitor.settings import WebSettings

Command = TypeVar("Command", bound=Callable[..., Any])
TOKEN: Final = "ROTATION_TOKEN"  # noqa: S105 - the name of one
_TIMEOUT: Final = 15.0
_UNAUTHORIZED: Final = 401
_REFUSED: Final = 400


def daemon_options(command: Command) -> Command:
    """``--url``, ``--token`` and ``--config``, for every command that asks the running monitor."""
    url = click.option(
        "--url", "url", envvar="ROTATION_URL", metavar="URL", help="The monitor; as configured if not given."
    )
    token = click.option("--token", "token", envvar=TOKEN, metavar="TOKEN", help=f"Or the environment's {TOKEN}.")
    return url(token(config_option(command)))


class DaemonClient:
    """Requests to a monitor. Every error is a :class:`~monitor.cli.faults.Fault` with one line of text."""

    def __init__(self, url: str, token: str | None) -> None:
        import httpx

        if urlsplit(url).scheme not in ("http", "https"):
            raise Fault(f"--url: {url} is no address of a monitor: write http://127.0.0.1:8600")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if token is not None and not (token.isascii() and token.isprintable()):
            raise Fault(f"--token: a token of other than printable ASCII characters cannot be sent; see {TOKEN}")
        self._url = url.rstrip("/")
        local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        # Whoever has a proxy in the environment reaches this machine without it; SSL_CERT_FILE counts here, too.
        past_proxies = {"http://": None, "https://": None, "all://": None} if local else None
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT, mounts=past_proxies)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """What the monitor answers."""
        return self._ask("GET", path, params=params)[0]

    def pages(self, path: str, params: Mapping[str, Any], most: int) -> Iterator[Any]:
        """Records of a list that comes in pages, at most so many."""
        query: dict[str, Any] = dict(params)
        while most > 0:
            page, more = self._ask("GET", path, params={**query, "limit": min(most, 1_000)})
            yield from page
            most -= len(page)
            if not more:
                return
            query["before"] = page[-1]["id"]

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patience: float = _TIMEOUT) -> Any:  # noqa: ANN401 - any JSON
        """Change something; what the monitor answers within `patience` (seconds), None for nothing."""
        return self._ask(method, path, json=body, timeout=patience)[0]

    def _ask(self, method: str, path: str, **parts: Any) -> tuple[Any, bool]:  # noqa: ANN401
        import httpx

        try:
            answer = self._client.request(method, self._url + path, **parts)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            said = str(error) or type(error).__name__
            raise Fault(f"no monitor answers at {self._url}: {said}; is `rotation run` running?", Exit.NO) from None
        if answer.status_code == _UNAUTHORIZED:
            raise Fault(f"{_detail(answer.text)}; give --token, or set {TOKEN}", Exit.NO)
        if answer.status_code >= _REFUSED:
            raise Fault(_detail(answer.text), Exit.NO)
        if not answer.content:
            return None, False
        try:
            return answer.json(), "next" in answer.links
        except ValueError:
            raise Fault(f"{self._url} is no Rotation Monitor: its answer is no JSON", Exit.NO) from None


def connect(url: str | None, token: str | None, config: Path | None) -> DaemonClient:
    """A client of the monitor that was named, or of the configuration's."""
    if url is not None:
        return DaemonClient(url, token)
    return configured(settings_of(find_config(config), only="web").web, token)


def configured(web: WebSettings, token: str | None) -> DaemonClient:
    """A client of the monitor that these settings belong to, with its own token where none is given."""
    secret = web.token or next((t.token for t in web.tokens.values() if t.scope != "read"), None)
    own = token or (secret.get_secret_value() if secret else None)
    return DaemonClient(os.environ.get("ROTATION_URL") or web.address, own)


def connect_by(given: dict[str, Any]) -> DaemonClient:
    """The client that :func:`daemon_options` say; takes them out of a command's other options."""
    return connect(given.pop("url"), given.pop("token"), given.pop("config"))


def in_path(text: str) -> str:
    """A name as a part of a path."""
    return quote(text, safe="")


def _detail(body: str) -> str:
    """The monitor's sentence, or the beginning of whatever else answered."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.split())[:200] or "an answer without a text"
