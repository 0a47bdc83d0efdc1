from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import rules
from rules.document import load
from rules.testing.schema import tests_schema as schema_of_tests

LIBRARY = sorted((Path(rules.__file__).with_name("library") / "tests").glob("*.test.yaml"))
TEST = {"name": "n", "start": "2026-01-02", "every": "1d", "expect": [{"at": 0, "firing": []}]}


def errors(data: Any) -> list[str]:
    return [e.message for e in Draft202012Validator(schema_of_tests()).iter_errors(data)]


def file(**keys: Any) -> dict[str, Any]:
    return {"rules": ["a.yaml"], "tests": [TEST | keys]}


def expect(**keys: Any) -> dict[str, Any]:
    return file(expect=[{"at": "5m"} | keys])


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema_of_tests())


@pytest.mark.parametrize("path", LIBRARY, ids=lambda f: f.name)
def test_tests_of_the_library_fit(path: Path) -> None:
    assert errors(load(path).data) == []


@pytest.mark.parametrize(
    "data",
    [
        file(),
        file() | {"rules": "a.yaml", "calendar": "XLON", "version": 1},
        file(prices={"IWM": "1 2x3", "SPY": 5, "QQQ": ["1x2", 3]}, quotes={"IWM": {"bid": 1, "ask": "2x3"}}),
        file(history={"IWM": 1}, volumes={"IWM": "5"}, volume_history={"IWM": 5}, series={"pe": "4%"}, only=True),
        expect(alert="a", state="resolved", value="5bp", labels={"a": 1}, summary="s", annotations={"b": "c"}),
        expect(alert="a", member="XLE", value=5),
        expect(record="r", value="unknown"),
        expect(eval="ret(IWM, 1d)", value=True),
    ],
)
def test_right(data: dict[str, Any]) -> None:
    assert errors(data) == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"rules": ["a.yaml"]},
        {"tests": [TEST]},
        file(every="2d"),
        file(price={}),
        file(quotes={"IWM": {"bid": 1}}),
        file(expect=[]),
        expect(alert="a"),
        expect(alert="a", state="fires"),
        expect(record="r"),
        expect(record="r", alert="a", value=1, state="firing"),
        expect(firing="a"),
        file(expect=[{"alert": "a", "state": "firing"}]),
    ],
)
def test_wrong(data: dict[str, Any]) -> None:
    assert errors(data)
