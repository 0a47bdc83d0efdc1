"""JSON Schema of a rule file, for editors: keys and kinds. What expressions mean is checked when they are loaded."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from rules.categories import WORDS
from rules.fields import NEXT_OPEN
from rules.functions import FUNCTIONS
from rules.groups import MAX_NAME
from rules.parse import MAX_LENGTH
from rules.ruleset import Hours, NoData, OnClose, Severity

Schema = dict[str, Any]

_TABLE: Final = "\n".join(f"- `{s.usage}`: {s.result or 'of e'}, {s.summary}" for s in FUNCTIONS.values())
_UNITS: Final = (
    "Literals: `4%`, `400bp`, `1.5`, `30s`, `5m`, `2h`. Windows: `14d`, `2w`, clock time, a date, `open`, `wtd`, `mtd`,"
    f" `qtd`, `ytd`. Categories of `quadrant`: {', '.join(f'`{word}`' for word in WORDS)}."
)
_WORD: Final = "^[A-Za-z_][A-Za-z0-9_]*$"
_DURATION: Final = {"anyOf": [{"type": "string", "pattern": "^([0-9]{1,9}[smh]|0)$"}, {"const": 0}]}
_MEMBERS: Final = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}}


def rules_schema() -> Schema:
    """The schema of a rule file, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules of Rotation Monitor",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "aliases": _named("Readable names, each for one instrument.", {"type": "string", "minLength": 1}),
            "baskets": _named("Weighted portfolios, used wherever an instrument can be.", _basket()),
            "universes": _named(
                "Sets to loop over, count or rank: a list, or the name of a basket or universe.",
                {"anyOf": [_MEMBERS, {"type": "string", "minLength": 1}]},
            ),
            "groups": {
                "description": "Rules evaluated together, sharing defaults.",
                "type": "array",
                "minItems": 1,
                "items": _group(),
            },
        },
    }


def _named(description: str, value: Schema) -> Schema:
    return {
        "description": description,
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": _WORD},
        "additionalProperties": value,
    }


def _basket() -> Schema:
    weight = {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9]*\.?[0-9]+%$"}]
    }
    weights = {"type": "object", "minProperties": 1, "additionalProperties": weight}
    return {
        "anyOf": [
            _MEMBERS,
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["weights"],
                "properties": {"weights": weights},
            },
        ]
    }


def _group() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "rules"],
        "properties": {
            "name": _rule_name("The group."),
            "rules": {"type": "array", "minItems": 1, "items": {"anyOf": [_alert(), _record()]}},
            **_settings(),
        },
    }


def _alert() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["alert", "when"],
        "properties": {
            "alert": _rule_name("The alert; part of the id of its episodes."),
            "when": _expression(
                "Fires while this holds.",
                "ret(IWM, 14d) - ret(SPY, 14d) > 400bp",
                "zscore(excess(IWM, SPY, 14d), 250d) > 3",
                "share(sectors, ret(it, 14d) > ret(SPY, 14d)) >= 70%",
                "rank(it, sectors, ret(it, 20d)) <= 3 and ret(it, 1d) < -150bp",
                "quadrant(it, SPY, 20d) == leading",
            ),
            "until": _expression("Once fired, clears only when this holds.", "ret(IWM, 14d) - ret(SPY, 14d) < 300bp"),
            "value": _expression("What messages show.", "ret(IWM, 14d) - ret(SPY, 14d)"),
            "each": {
                "description": "A universe, or a basket for its members: one instance per member, named `it`.",
                "type": "string",
                "pattern": _WORD,
            },
            **_settings(),
        },
    }


def _record() -> Schema:
    settings = _settings()
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["record", "value"],
        "properties": {
            "record": {"description": "A named series.", "type": "string", "pattern": _WORD},
            "value": _expression("What is recorded.", "ret(IWM, ytd) - ret(SPY, ytd)", "value(rates.ust_10y)"),
            "labels": settings["labels"],
            "enabled": settings["enabled"],
        },
    }


def _settings() -> dict[str, Schema]:
    """Keys of an alert that a group can give as defaults."""
    schedule = {"type": "string", "pattern": f"^([1-9][0-9]*[smh]|{NEXT_OPEN})$"}
    return {
        "for": {"description": "Trading time it must hold before firing.", **_DURATION},
        "keep_firing_for": {"description": "Trading time it stays up after it clears.", **_DURATION},
        "severity": _choice("How much it matters.", Severity, Severity.WARNING),
        "labels": _texts("Fixed texts, for routing."),
        "annotations": _texts("Jinja2 templates, for messages."),
        "hours": _choice("When it is evaluated.", Hours, Hours.REGULAR),
        "on_close": _choice("What the close does: freeze, or reset where a window is clock time.", OnClose, None),
        "no_data": _choice("What lasting lack of data does.", NoData, NoData.KEEP),
        "no_data_for": {"description": "How long that is.", **_DURATION},
        "enabled": {"type": "boolean", "default": True},
        "notify": {
            "description": "Receivers, instead of the route's.",
            "anyOf": [{"type": "string", "minLength": 1}, {**_MEMBERS, "uniqueItems": False}],
        },
        "repeat": {
            "description": f"When to tell again: durations and {NEXT_OPEN}.",
            "anyOf": [schedule, {"type": "array", "minItems": 1, "items": schedule}],
        },
        "escalate": {
            "description": "Who is told where nobody acknowledges, instead of the route's steps; [] is nobody.",
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["after", "to"],
                "properties": {
                    "after": {"type": "string", "pattern": "^[1-9][0-9]*[smh]$"},
                    "to": {"anyOf": [{"type": "string", "minLength": 1}, {**_MEMBERS, "uniqueItems": False}]},
                },
            },
        },
    }


def _rule_name(description: str) -> Schema:
    pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
    return {"description": description, "type": "string", "pattern": pattern, "maxLength": MAX_NAME}


def _expression(description: str, *examples: str) -> Schema:
    usages = ", ".join(signature.usage for signature in FUNCTIONS.values())
    return {
        "description": f"{description} Functions: {usages}.",
        "markdownDescription": f"{description}\n\n{_TABLE}\n\n{_UNITS}",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_LENGTH,
        "examples": list(examples),
    }


def _choice(description: str, kind: type[StrEnum], default: StrEnum | None) -> Schema:
    choice: Schema = {"description": description, "enum": [str(word) for word in kind]}
    return choice if default is None else {**choice, "default": str(default)}


def _texts(description: str) -> Schema:
    scalar = {"type": ["string", "number", "boolean"]}
    return {
        "description": description,
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": _WORD},
        "additionalProperties": scalar,
    }
