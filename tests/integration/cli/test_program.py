"""The program as a user starts it: exit codes, pipes, signals, and no traceback for what a user did."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROTATION = (sys.executable, "-c", "from monitor.cli import main; main()")
CONFIG = "feeds: {sim: {type: simulator}}\nrules: [rules.yaml]\nstore: {data_dir: data}\n"
RULES = "groups: [{name: g, rules: [{alert: a, when: 'ret(IWM, 1d) > 1%'}]}]\n"
BARS = "ts,symbol,close\n2026-01-02,IWM,100\n2026-01-05,IWM,101\n2026-01-06,IWM,102\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rotation.yaml").write_text(CONFIG)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "bars.csv").write_text(BARS)
    return tmp_path


@pytest.fixture
def rotation(folder):
    env = {k: v for k, v in os.environ.items() if not k.startswith("ROTATION_")} | {"PYTHONPATH": str(Path.cwd())}

    def run(*words):
        return subprocess.run(
            [*ROTATION, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )

    run.env = env
    return run


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["chek"], 2),
        (["run", "--config", "nothing.yaml"], 2),
        (["run", "--demo", "--config", "rotation.yaml"], 2),
        (["check", "--format", "xml"], 2),
        (["history", "import", "nothing.csv"], 2),
        (["history", "import", "rules.yaml"], 2),
        (["doctor", "--config", "rules.yaml"], 2),
    ],
)
def test_exit_codes_and_no_traceback(rotation, words, code):
    said = rotation(*words)
    assert said.returncode == code, said
    assert "Traceback" not in said.stderr


def test_run_without_a_configuration_says_what_to_do(rotation, folder):
    (folder / "rotation.yaml").unlink()
    said = rotation("run")
    assert said.returncode == 2
    assert "--demo" in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_help_loads_nothing_heavy(rotation):
    script = "import sys, monitor.cli; print([m for m in ('polars', 'numpy', 'pydantic', 'redis') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", script], env=rotation.env, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_reader_that_goes_away_is_no_error(rotation, folder):
    days = "".join(f"2026-01-{day:02},S{n},100\n" for day in (5, 6, 7, 8, 9) for n in range(2))
    (folder / "long.csv").write_text("ts,symbol,close\n" + days)
    words = ["eval", "price(S0)", "--data", "long.csv", "--format", "json"]
    with started(rotation, folder, *words, stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_interrupt_is_one_line(rotation, folder):
    os.mkfifo(folder / "slow.yaml")
    with started(rotation, folder, "check", "slow.yaml") as process:
        # The program waits at the pipe once it has opened it, and only then can we open it for writing.
        writer = opened(folder / "slow.yaml")
        # Python sees a signal that came just before it entered the read only at the next one, as at a second Ctrl-C.
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
                break
        assert process.wait(5) == 130
        assert process.stderr.read() == "interrupted\n"
        os.close(writer)


def started(rotation, folder, *words, **options):
    return subprocess.Popen(
        [*ROTATION, *words], cwd=folder, env=rotation.env, stderr=subprocess.PIPE, text=True, **options
    )


def opened(path, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"nobody reads {path}")


def test_history_is_imported_merged_and_shown(rotation, folder):
    assert rotation("history", "import", "bars.csv").stdout == (
        "3 closes of 1 symbols in 3 sessions, 2026-01-02 to 2026-01-06\n"
    )
    (folder / "more.csv").write_text("ts,symbol,close\n2026-01-02,SPY,680\n2026-01-06,SPY,690\n2026-01-06,IWM,103\n")
    assert rotation("history", "import", "more.csv").returncode == 0
    shown = rotation("history", "show", "--format", "json")
    assert shown.stderr == ""
    assert shown.stdout.splitlines() == [
        '{"symbol":"IWM","from":"2026-01-02","to":"2026-01-06","sessions":3,"missing":0}',
        '{"symbol":"SPY","from":"2026-01-02","to":"2026-01-06","sessions":2,"missing":1}',
    ]


def test_doctor_finds_everything_well(rotation):
    said = rotation("doctor")
    assert said.returncode == 0, said
    assert {"calendar", "store", "clock", "rules", "feed", "receiver"} <= set(said.stdout.split())


def test_doctor_says_what_to_do(rotation, folder):
    (folder / "rotation.yaml").write_text(
        """
rules: [rules.yaml]
store: {url: "redis://:5ecret@127.0.0.1:1"}
feeds: {iex: {type: alpaca, key: 5ecret, secret: 5ecret, url: "ws://127.0.0.1:1/v2/iex"}}
receivers: {desk: {urls: ["telepathy://5ecret"]}}
"""
    )
    said = rotation("doctor", "--format", "json")
    assert said.returncode == 1
    assert "5ecret" not in said.stdout + said.stderr
    assert said.stdout.count('"ok":false') == 3
    assert all('"advice":""' not in line for line in said.stdout.splitlines() if '"ok":false' in line)
