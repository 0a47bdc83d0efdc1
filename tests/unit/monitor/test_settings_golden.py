"""Wrong configurations and the messages they give: `tests/golden/config/NAME.yaml` and `NAME.txt`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.settings import load_settings
from rules.diagnostics import render

FOLDER = Path(__file__).parents[2] / "golden" / "config"
ENVIRONMENT = {"EMPTY": "", "SLACK_TOKENS": "a/b/c", "SECRET": "5ecret"}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_message(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    loaded = load_settings(Path(f"{name}.yaml"), ENVIRONMENT)
    said = render(loaded.diagnostics) + "\n"
    expected = Path(f"{name}.txt")
    if os.environ.get("ROTATION_GOLDEN") == "write":
        expected.write_text(said, encoding="utf-8")
    assert loaded.settings is None
    assert "5ecret" not in said
    assert "pa55word" not in said
    assert said == expected.read_text(encoding="utf-8")
