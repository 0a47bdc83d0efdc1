from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import rules
from rules.check import check
from rules.document import load
from rules.functions import FUNCTIONS
from rules.load import load_texts
from rules.schema import rules_schema
from rules.scope import Scope

LIBRARY = sorted(Path(rules.__file__).with_name("library").glob("*.yaml"))
RULE = {"alert": "a", "when": "ret(IWM, 1d) > 0"}


def errors(data: Any) -> list[str]:
    return [e.message for e in Draft202012Validator(rules_schema()).iter_errors(data)]


def rule(**keys: Any) -> dict[str, Any]:
    return {"groups": [{"name": "g", "rules": [RULE | keys]}]}


def test_examples_are_expressions() -> None:
    names = load_texts({"a.yaml": "universes: {sectors: [XLB, XLE]}"}).ruleset
    assert names is not None
    alert, record = rules_schema()["properties"]["groups"]["items"]["properties"]["rules"]["items"]["anyOf"]
    fields = [alert["properties"][key] for key in ("when", "until", "value")] + [record["properties"]["value"]]
    for example in (example for field in fields for example in field["examples"]):
        assert check(example, Scope.of(names), it=names.universes["sectors"]).problems == ()
    for function in FUNCTIONS.values():
        assert f"`{function.usage}`" in fields[0]["markdownDescription"]


def test_it_is_a_schema_and_json() -> None:
    Draft202012Validator.check_schema(rules_schema())
    assert json.loads(json.dumps(rules_schema())) == rules_schema()


@pytest.mark.parametrize("file", LIBRARY, ids=lambda f: f.name)
def test_the_library_fits(file: Path) -> None:
    assert errors(load(file).data) == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 1, "aliases": {"a": "A"}, "baskets": {"b": ["A"], "c": {"weights": {"A": 0.4, "B": "60%"}}}},
        {"universes": {"u": ["A", "B"], "v": "u"}},
        {"groups": [{"name": "g", "rules": [{"record": "r", "value": "ret(IWM, 1d)", "labels": {"a": 1}}]}]},
        rule(
            **{
                "for": 0,
                "keep_firing_for": "30m",
                "repeat": ["15m", "next_open"],
                "escalate": [{"after": "15m", "to": "boss"}],
                "notify": "desk",
            }
        ),
    ],
)
def test_right(data: Any) -> None:
    assert errors(data) == []


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"version": 2},
        {"aliasses": {}},
        {"aliases": {"small caps": "IWM"}},
        {"baskets": {"b": []}},
        {"baskets": {"b": {"weights": {"A": -1}}}},
        {"groups": [{"rules": [RULE]}]},
        {"groups": [{"name": "g", "rules": [{"alert": "a"}]}]},
        {"groups": [{"name": "g", "rules": [{"alert": "a", "record": "a", "when": "x"}]}]},
        rule(untill="x"),
        rule(severity="criticl"),
        rule(**{"for": "2d"}),
        rule(**{"for": 10}),
        rule(repeat=["tomorrow"]),
        rule(escalate=[{"after": "15m"}]),
        rule(escalate=[{"after": "0", "to": "boss"}]),
        rule(labels={"a b": "c"}),
    ],
)
def test_wrong(data: Any) -> None:
    assert errors(data)
