"""Runs commands in this process as the program would, and gives what they said."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from monitor.cli.faults import exit_code
from monitor.cli.program import invoke


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def records(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def rotation(capfd, tmp_path, monkeypatch):
    """``rotation(*words)`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        args = [str(word) for word in words]
        code = exit_code(lambda: invoke(args))
        said = capfd.readouterr()
        return Outcome(code, said.out, said.err)

    return run
