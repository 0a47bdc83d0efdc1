"""A post with an end to it: how long it may take, how much of the answer is read, and what the answer means."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import structlog

from monitor import clock
from monitor.notify.sender import Verdict

READ: Final = 4_096
"""Bytes of an answer that are read; the rest of a longer one stays where it is, with its connection."""
_TAIL: Final = 1.0
"""Seconds that an answer's text may take when its status is there: the status has decided."""
_SPARE: Final = 0.05
"""Seconds before the deadline in which that text is let go of: what a service took is not to be sent again for it."""
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_MALFORMED: Final = frozenset({400, 413, 415, 422})
_ASKS_TO_WAIT: Final = frozenset({429, 503})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said: its status, the beginning of its text, and the seconds it asks to be left alone."""

    status: int
    text: str
    retry_after: float | None

    @property
    def verdict(self) -> Verdict:
        """See :func:`verdict`."""
        return verdict(self.status)


def verdict(status: int) -> Verdict:
    """What an HTTP status says of a message.

    2xx: it arrived. 400, 413, 415 and 422: the message is wrong, and the same will be. 408, 425, 429 and 5xx may pass.
    The others, a redirection among them, are about the address or the credentials.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's classes
        return Verdict.DELIVERED
    if status in _MALFORMED:
        return Verdict.REJECTED
    return Verdict.TRANSIENT if status in _TRY_AGAIN or status >= 500 else Verdict.FATAL  # noqa: PLR2004


def retry_after(status: int, value: str | None, wall: int) -> float | None:
    """Seconds from a ``Retry-After`` of a 429 or 503: a number, or an HTTP date, told by the machine's clock (UTC ns).

    None where there is none that can be read.
    """
    if value is None or status not in _ASKS_TO_WAIT:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - wall / 1e9
        except (ValueError, OverflowError):
            return None
        return max(0.0, seconds)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


class NoAnswer(Exception):
    """The service did not answer: the text says why, without secrets."""


class HttpClient:
    """Posts JSON to one service. `deadline`: seconds for a post, however slowly the service takes it and answers."""

    def __init__(self, deadline: float, login: tuple[str, str] | None = None) -> None:
        """`login`: user and password."""
        self._deadline = deadline
        self._client = httpx.AsyncClient(auth=login, timeout=deadline, event_hooks={"response": [_stay]})

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Post once. Raises NoAnswer."""
        try:
            return await self._post(url, content, headers)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._deadline:g} s") from None
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: it is closed, the daemon is stopping
            raise NoAnswer(f"{type(error).__name__} {error}".strip()) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        loop = asyncio.get_running_loop()
        end = loop.time() + self._deadline
        async with asyncio.timeout_at(end), self._client.stream("POST", url, content=content, headers=sent) as answer:
            text = await _beginning(answer, min(end - _SPARE, loop.time() + _TAIL))
        return Answer(
            answer.status_code,
            text,
            retry_after(answer.status_code, answer.headers.get("Retry-After"), clock.wall_ns()),
        )


async def _stay(answer: httpx.Response) -> None:
    """Drop where a redirection points: it is not followed, and httpx raises all sorts where it cannot read it."""
    answer.headers.pop("Location", None)


async def _beginning(answer: httpx.Response, end: float) -> str:
    """The first words of an answer that are there by `end` (the event loop's clock)."""
    text = bytearray()
    try:
        async with asyncio.timeout_at(end):
            async for chunk in answer.aiter_raw(READ):
                text += chunk
                if len(text) >= READ:
                    break
    except (TimeoutError, httpx.HTTPError) as error:
        _log.debug("answer cut short", status=answer.status_code, reason=type(error).__name__)
    packed = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
    return "" if packed else " ".join(text[:READ].decode(errors="replace").split())
