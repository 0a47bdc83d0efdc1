"""The compute thread: everything that touches state, engine or filter runs here, one call after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from monitor.pipeline import Pipeline

P = ParamSpec("P")
T = TypeVar("T")


class ComputeThread:
    """Owns a pipeline. A call that was started runs to its end, even if its caller is cancelled."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compute")

    async def run(self, call: Callable[Concatenate[Pipeline, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of ``call(pipeline, *args)``, computed on the thread."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._pool, lambda: call(self._pipeline, *args, **kwargs)))

    def close(self) -> None:
        """Wait for the call under way and end the thread."""
        self._pool.shutdown(wait=True)
