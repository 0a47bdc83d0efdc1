"""PNGs from a process of their own, kept warm, with a deadline: a picture never holds up what it belongs to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from monitor.charts import raster

_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an answer; more is no picture."""


_DIED: Final = (OSError, asyncio.IncompleteReadError)


class PictureError(Exception):
    """There is no picture."""


class PictureTimeout(PictureError):
    """The picture was not done by its deadline; its process was ended, and the next picture starts another."""


class PictureRefused(PictureError):
    """The drawing cannot be made a PNG: it is no SVG, or there is no font."""


class PictureProcessDied(PictureError):
    """The process that draws ended in mid-picture, and so did its successor; the next picture starts another."""


class Rasterizer:
    """Makes PNGs in one worker process, which is started with the first and replaced when it has died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self.started = 0
        """How often a worker was started."""

    async def start(self) -> None:
        """Start the worker, so that the first picture need not wait for it."""
        async with self._turn:
            await self._worker()

    async def png(self, svg: str, deadline: float) -> bytes:
        """The drawing as PNG, two pixels for each of its own.

        `deadline`: seconds from now; waiting for pictures before it, and for a worker to start, counts.

        Raises:
            PictureTimeout: It is not done in time.
            PictureRefused: It cannot be drawn.
            PictureProcessDied: The worker died, and so did the next.
        """
        try:
            async with asyncio.timeout(deadline):
                return await self._drawn(svg.encode("utf-8", "replace"))
        except TimeoutError:
            raise PictureTimeout(f"the picture was not done in {deadline:g} s") from None

    async def _drawn(self, svg: bytes) -> bytes:
        async with self._turn:
            try:
                answer = await self._answer(svg)
            except BaseException as error:
                # Whatever is still to come from this worker would be taken for the next picture.
                await self._end()
                if isinstance(error, _DIED):
                    raise PictureProcessDied("the process that draws pictures ended in mid-picture, twice") from None
                raise
        if answer[:1] != raster.DRAWN:
            raise PictureRefused(f"the drawing cannot be made a picture: {answer[1:].decode('utf-8', 'replace')}")
        return answer[1:]

    async def _answer(self, svg: bytes) -> bytes:
        """From a worker that was warm, or else from a new one: it may have died since the last picture."""
        try:
            return await _exchange(await self._worker(), svg)
        except _DIED:
            await self._end()
            return await _exchange(await self._worker(), svg)

    async def _worker(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", raster.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C is for the daemon, which ends its worker itself, after the last message.
            start_new_session=True,
        )
        self.started += 1
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await asyncio.shield(process.wait())

    async def close(self) -> None:
        """End the worker; a picture under way is waited for, as long as its own deadline says."""
        async with self._turn:
            await self._end()


async def _exchange(process: asyncio.subprocess.Process, svg: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise PictureProcessDied("the process that draws pictures has no pipes")
    process.stdin.write(raster.LENGTH.pack(len(svg)) + svg)
    await process.stdin.drain()
    (length,) = raster.LENGTH.unpack(await process.stdout.readexactly(raster.LENGTH.size))
    if length > _LARGEST:
        raise PictureRefused(f"a picture of {length} bytes")
    return await process.stdout.readexactly(length)


@asynccontextmanager
async def rasterizer() -> AsyncIterator[Rasterizer]:
    """A worker for as long as the block lasts."""
    worker = Rasterizer()
    try:
        yield worker
    finally:
        await worker.close()
