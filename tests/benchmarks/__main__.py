"""``python -m tests.benchmarks [NAME ...] [--json FILE]``: a table of each benchmark, and all figures as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.benchmarks import (
    decode,
    delivery,
    evaluation,
    feed_page,
    history,
    latency,
    memory,
    pictures,
    restart,
    throughput,
    windows,
)
from tests.benchmarks.figures import Report, load

BENCHMARKS: Final[dict[str, Callable[[], Coroutine[Any, Any, Report]]]] = {
    "decode": decode.run,
    "pipeline": throughput.measure,
    "latency": latency.measure,
    "delivery": delivery.measure,
    "feed-page": feed_page.measure,
    "evaluation": evaluation.measure,
    "windows": windows.measure,
    "history": history.measure,
    "restart": restart.measure,
    "memory": memory.measure,
    "pictures": pictures.measure,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="What the monitor costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all, if none is given")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="default %(default)s")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}: {', '.join(BENCHMARKS)}")
    console = Console()
    reports = []
    for name in options.names or BENCHMARKS:
        began = time.monotonic()
        report = asyncio.run(BENCHMARKS[name]())
        report.seconds = time.monotonic() - began
        report.load.append(load())
        report.show(console)
        reports.append(report)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([report.plain() for report in reports], indent=1) + "\n")
    missed = sum(len(report.missed) for report in reports)
    console.print(f"{missed or 'no'} target{'' if missed == 1 else 's'} missed; written to {options.json}")


if __name__ == "__main__":
    main()
