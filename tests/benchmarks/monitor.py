"""``rotation run`` with room for as many quotes as a benchmark sends, so that none give way to newer ones.

python -m tests.benchmarks.monitor --config rotation.yaml [--backlog-mb 4096]
"""

from __future__ import annotations

import argparse

from monitor import app
from monitor.cli.program import program


def main() -> None:
    """Widen the backlog and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--backlog-mb", type=int)
    options = parser.parse_args()
    if options.backlog_mb:
        app._BACKLOG_BYTES = options.backlog_mb * 2**20  # type: ignore[misc]
    program(["run", "--config", options.config])


if __name__ == "__main__":
    main()
