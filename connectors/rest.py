"""A vendor's REST interface: paced, patient where waiting helps, and plain about what it refuses.

httpx is known here only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx

SECOND: Final = 1_000_000_000

_TRY_AGAIN: Final = frozenset({408, 425, 500, 502, 503, 504})
_TOO_MANY: Final = 429
_LONGEST_WAIT: Final = 120.0
"""Seconds; a vendor that asks for more is asked again after these."""


class RestError(Exception):
    """A request failed for good; the text names host, path and the vendor's words, `status` is 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Rest:
    """Requests to one vendor, one at a time; an asynchronous context manager.

    Args:
        base: The address that paths are added to.
        headers: Sent with each request, the key among them; they are in no text.
        per_minute: Requests a minute that the plan allows; they are spread evenly.
        monotonic: Seconds of a clock that never jumps.
        now_ns: This machine's time, nanoseconds UTC, for vendors that name the time from which they answer again.
        sleep: How to wait.
        attempts: Of one request, before an answer that may pass (server error, no answer) is an error.
        timeout: Seconds for an answer.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        per_minute: float,
        monotonic: Callable[[], float],
        now_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        attempts: int = 6,
        timeout: float = 30.0,
    ) -> None:
        self._base = base.rstrip("/")
        self._client = httpx.AsyncClient(headers=dict(headers), timeout=timeout, follow_redirects=False)
        self._spacing = 60.0 / per_minute
        self._monotonic, self._now_ns, self._sleep = monotonic, now_ns, sleep
        self._attempts = attempts
        self._next = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """The answer's body. Too many requests are waited for as long as the vendor says, whatever it takes.

        Raises:
            RestError: The vendor refuses (key, plan, parameters), or does not answer well in all attempts.
        """
        async with self._one_at_a_time:
            failures = 0
            while True:
                await self._sleep(max(0.0, self._next - self._monotonic()))
                self._next = self._monotonic() + self._spacing
                try:
                    answer = await self._client.get(self._base + path, params=parameters)
                except httpx.InvalidURL as error:
                    raise RestError(f"{self._shown(path)}: {error}") from error
                except httpx.HTTPError as error:
                    text, status = f"{self._shown(path)}: {_one_line(error)}", 0
                else:
                    self._heed_limits(answer)
                    status = answer.status_code
                    if status == httpx.codes.OK:
                        return answer.content
                    text = f"{self._shown(path)}: {status} {_words(answer)}"
                    if status == _TOO_MANY:
                        continue
                    if status not in _TRY_AGAIN:
                        raise RestError(text, status)
                failures += 1
                if failures == self._attempts:
                    raise RestError(text, status)
                self._next = max(self._next, self._monotonic() + min(_LONGEST_WAIT, 2.0 ** (failures - 1)))

    def _heed_limits(self, answer: httpx.Response) -> None:
        """Ask no more before the vendor answers again: on 429, or where the last request of a period was this one."""
        refused = answer.status_code == _TOO_MANY
        if not refused and answer.headers.get("x-ratelimit-remaining") != "0":
            return
        wait = self._asked_for(answer)
        if wait is None:
            wait = max(1.0, self._spacing) if refused else 0.0
        self._next = max(self._next, self._monotonic() + min(_LONGEST_WAIT, max(0.0, wait)))

    def _asked_for(self, answer: httpx.Response) -> float | None:
        """Seconds until the vendor answers again, as ``Retry-After`` (seconds or a date) or ``x-ratelimit-reset`` say.

        The latter is the second since 1970 of the reset with Alpaca and Finnhub.
        """
        after = answer.headers.get("retry-after", "")
        reset = answer.headers.get("x-ratelimit-reset", "")
        try:
            if after:
                return float(after) if after.replace(".", "", 1).isdigit() else self._until(after)
            return float(reset) - self._now_ns() / SECOND if reset else None
        except ValueError:  # nothing that says when
            return None

    def _until(self, date: str) -> float:
        return parsedate_to_datetime(date).timestamp() - self._now_ns() / SECOND

    def _shown(self, path: str) -> str:
        """Host and path, without parameters: they can be secrets."""
        return f"{httpx.URL(self._base).host}{path.partition('?')[0]}"


def _words(answer: httpx.Response) -> str:
    """What the vendor says of an error, on one line and short."""
    return " ".join(answer.text.split())[:200] or answer.reason_phrase


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
