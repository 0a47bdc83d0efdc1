"""JSON Schema of a file of rule tests, for editors: keys and kinds. Names are looked up when it is run."""

from __future__ import annotations

from typing import Any, Final

from rules.testing.expect import STATES

Schema = dict[str, Any]

_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
_VALUES: Final[Schema] = {
    "description": "One value a step: literals, NxK repeats, A..BxK ramps (both ends included), _ is missing, _xK.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "number"},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}},
    ],
}
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_VALUE: Final[Schema] = {
    "description": "To within half of the last digit written: 500bp is 499.5bp to 500.5bp. Or: true, false, unknown.",
    **_SCALAR,
}
_TEXTS: Final[Schema] = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}


def tests_schema() -> Schema:
    """The schema of a test file, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tests of rules of Rotation Monitor",
        "type": "object",
        "additionalProperties": False,
        "required": ["rules", "tests"],
        "properties": {
            "version": {"const": 1},
            "rules": {
                "description": "Rule files and folders of them, seen from this file.",
                "anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT}],
            },
            "calendar": {"description": "The exchange whose sessions count.", "default": "XNYS", **_TEXT},
            "tests": {"type": "array", "minItems": 1, "items": _test()},
        },
    }


def _test() -> Schema:
    at_least_one = "By symbol, alias, basket or universe (for those of its members that are not named themselves)."
    quote = {
        "type": "object",
        "additionalProperties": False,
        "required": ["bid", "ask"],
        "properties": {"bid": _VALUES, "ask": _VALUES},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "start", "every", "expect"],
        "properties": {
            "name": {"description": "A sentence: what should happen.", **_TEXT},
            "start": {
                "description": "The first step: 2026-01-02 09:30 America/New_York, an offset, or UTC; or a date, with "
                "every: 1d.",
                **_TEXT,
            },
            "every": {
                "description": "How far apart steps are: 5m of clock time; 1d is one step a session, at its close.",
                "type": "string",
                "pattern": "^(([0-9]{1,9}[hms])+|1d)$",
            },
            "history": _named("Closes of earlier sessions, oldest first, up to the session before the start's; "
                              "and earlier values of series.", _VALUES),
            "volume_history": _named("Volumes of those sessions.", _VALUES),
            "prices": _named(f"Trades. {at_least_one}", _VALUES),
            "quotes": _named(f"Bids and asks. {at_least_one}", quote),
            "volumes": _named(f"How much is traded at each step, at its price. {at_least_one}", _VALUES),
            "series": _named("Values of external series, published at their step.", _VALUES),
            "only": {
                "description": "An alert that fires and stands in no expectation fails the test.",
                "type": "boolean",
                "default": False,
            },
            "expect": {
                "type": "array",
                "minItems": 1,
                "items": {"oneOf": [_alert(), _formula("record"), _formula("eval"), _firing()]},
            },
        },
    }  # fmt: skip


def _named(description: str, value: Schema) -> Schema:
    return {"description": description, "type": "object", "minProperties": 1, "additionalProperties": value}


def _expectation(subject: Schema, *required: str) -> Schema:
    at: Schema = {
        "description": "Since the start: 0, 20m, 1h30m, or 3d (sessions); or a time. A step is due then.",
        "type": ["string", "integer"],
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["at", *required],
        "properties": {"at": at, **subject},
    }


def _alert() -> Schema:
    told = ("state", "value", "labels", "summary", "annotations")
    schema = _expectation(
        {
            "alert": {"description": "The alert's name.", **_TEXT},
            "member": {"description": "Of an alert with `each`, the member.", **_TEXT},
            "state": {"description": "resolved: inactive now, and it fired earlier in the test.", "enum": list(STATES)},
            "value": _VALUE,
            "labels": {"description": "Labels it has, among others.", **_TEXTS},
            "summary": {"description": "The summary of the last message.", **_SCALAR},
            "annotations": {"description": "Other annotations of the last message.", **_TEXTS},
        },
        "alert",
    )
    return {**schema, "anyOf": [{"required": [key]} for key in told]}


def _formula(subject: str) -> Schema:
    what = "The record's name." if subject == "record" else "An expression."
    return _expectation({subject: {"description": what, **_TEXT}, "value": _VALUE}, subject, "value")


def _firing() -> Schema:
    what = "All alerts that fire, recovering ones too: alert, or alert:member; [] is none."
    return _expectation({"firing": {"description": what, "type": "array", "items": _TEXT}}, "firing")
