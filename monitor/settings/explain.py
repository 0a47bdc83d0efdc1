"""What the validator found wrong, in the words of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from monitor.settings import alerting, feeds, heartbeat, history, model, web
from monitor.settings.corporate_actions import FileActions
from monitor.settings.problem import Key, Problem
from rules.diagnostics import did_you_mean, listed, suggest

FEEDS: Final[Mapping[str, type[BaseModel]]] = {
    get_args(feed.model_fields["type"].annotation)[0]: feed for feed in get_args(feeds.FeedSettings)
}
"""The settings of every type of feed."""

HISTORIES: Final[Mapping[str, type[BaseModel]]] = {
    get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(history.HistorySettings)
}
"""The settings of every type of history."""

_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "store": model.StoreSettings,
    "route": alerting.RootRouteSettings,
    "web": web.WebSettings,
    "log": model.LogSettings,
    "heartbeat": heartbeat.HeartbeatSettings,
}
_ITEMS: Final[Mapping[str, type[BaseModel]]] = {
    "corporate_actions": FileActions,
    "receivers": alerting.ReceiverSettings,
    "inhibit": alerting.InhibitSettings,
}
_BELOW: Final[Mapping[tuple[str, str], type[BaseModel]]] = {
    ("receivers", "flap"): alerting.FlapSettings,
    ("web", "tls"): web.TlsSettings,
    ("web", "tokens"): web.TokenSettings,
}

_WHAT: Final[Mapping[str, str]] = {
    "string_type": "must be text",
    "list_type": "must be a list, such as [a, b]",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must have keys of its own",
    "model_type": "must have keys of its own",
    "model_attributes_type": "must have keys of its own",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be letters, digits, `-`, `_` and `.`",
    "finite_number": "must be a finite number",
}

_OURS: Final = frozenset(
    {"duration", "store_url", "feed_url", "listen", "receiver_url", "empty_secret", "path", "calendar", "mqtt_mapping"}
) | {"web_url", "base_path", "proxy"}
"""Errors whose text is our own."""

_WHOLE: Final = frozenset({"series_place", "series_name"})
"""Errors of a section as a whole, whose text says it all."""

_TOGETHER: Final[Mapping[str, str]] = {
    "open_listen": "listen",
    "open_address": "external_url",
    "token_name": "tokens",
    "same_token": "tokens",
}
"""Errors of several keys that do not fit each other, and the key they are shown at; their text is our own."""

_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
}


def explain(error: ValidationError, raw: Any) -> list[Problem]:  # noqa: ANN401 - whatever stands in the file
    """One problem for each fault. `raw` is the tree before substitution: what may be shown."""
    problems = [_problem(detail, raw) for detail in error.errors(include_url=False, include_input=False)]
    # What stands beside a wrong type belongs to that type: it is not wrong by the keys of another.
    mistyped = {p.path[:-1] for p in problems if p.path[-1:] == ("type",)}
    return [p for p in problems if p.path[-1:] == ("type",) or not {p.path, p.path[:-1]} & mistyped]


def sections(path: Sequence[Key], raw: Any) -> type[BaseModel] | None:  # noqa: ANN401, PLR0911 - one a section
    """The model whose keys may stand below a path; None where names are free, or there is none."""
    match tuple(path):
        case ():
            return model.Settings
        case ("feeds", _):
            return FEEDS.get(str(value_at(raw, (*path, "type"))))
        case (str(key),):
            return _SECTIONS.get(key)
        case ("feeds", _, "columns"):
            return feeds.SeriesColumns
        case ("feeds", _, "mapping", int()):
            return feeds.MqttMapping
        case ("history", str()):
            return history.VendorHistory  # keys where a list is due: they may be secrets
        case ("history", _):
            return HISTORIES.get(str(value_at(raw, (*path, "type"))))
        case ("receivers" | "inhibit" as key, _):
            return _ITEMS[key]
        case ("receivers", _, "flap") | ("web", "tls") | ("web", "tokens", _):
            return _BELOW[str(path[0]), str(path[2 if path[0] == "receivers" else 1])]
        case ("mute_times", _, _):
            return alerting.TimeSettings
        case ("route", *below) if below[::2] == ["routes"] * (len(below) // 2) and len(below) % 2 == 0:
            return alerting.RouteSettings
        case _:
            return None


def keys_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section, as they are written in the file."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def unknown_names(tree: Any) -> list[Problem]:  # noqa: ANN401 - whatever stands in the file
    """Receivers and mute times that routes name and nothing defines.

    Said apart, as the validator would only once all else is right.
    """
    receivers = value_at(tree, ("receivers",)) or {model.CONSOLE: None}
    times = value_at(tree, ("mute_times",)) or {}
    if not isinstance(receivers, Mapping) or not isinstance(times, Mapping):
        return []
    known = {
        "receiver": ("receiver", [str(name) for name in receivers]),
        "mute": ("mute time", [*alerting.TRADING, *(str(name) for name in times)]),
    }
    problems = [
        Problem(where, f"there is no receiver `{name}`{did_you_mean(name, known['receiver'][1])}")
        for where, name in _each(("heartbeat", "to"), value_at(tree, ("heartbeat", "to")))
        if isinstance(name, str) and name not in known["receiver"][1]
    ]
    routes: list[tuple[tuple[Key, ...], Any]] = [(("route",), value_at(tree, ("route",)))]
    for path, route in routes:
        for key, (what, names) in known.items():
            there_is = f": there is {listed(names, 'and')}"
            problems += [
                Problem(where, f"there is no {what} `{name}`{did_you_mean(name, names) or there_is}")
                for where, name in _each((*path, key), value_at(route, (key,)))
                if isinstance(name, str) and name not in names
            ]
        what, names = known["receiver"]
        steps = value_at(route, ("escalate",))
        for n, step in enumerate(steps if isinstance(steps, list) else []):
            problems += [
                Problem(where, f"there is no {what} `{name}`{did_you_mean(name, names)}")
                for where, name in _each((*path, "escalate", n, "to"), value_at(step, ("to",)))
                if isinstance(name, str) and name not in names
            ]
        below = value_at(route, ("routes",))
        routes += [((*path, "routes", n), each) for n, each in enumerate(below if isinstance(below, list) else [])]
    return problems


def _each(path: tuple[Key, ...], value: Any) -> list[tuple[tuple[Key, ...], Any]]:  # noqa: ANN401
    """The items of a list, or the one value, each with its path."""
    return [((*path, n), each) for n, each in enumerate(value)] if isinstance(value, list) else [(path, value)]


def value_at(tree: Any, path: Sequence[Key]) -> Any:  # noqa: ANN401 - whatever stands in the file
    """What stands at a path; None where nothing does."""
    for key in path:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _problem(detail: ErrorDetails, raw: Any) -> Problem:  # noqa: ANN401, PLR0911 - one a kind of error
    kind, path, context = detail["type"], _path(detail["loc"]), detail.get("ctx", {})
    name = _name(path)
    match kind:
        case "extra_forbidden":
            return _unknown_key(path, raw)
        case "missing":
            return Problem(path[:-1], f"`{name}` is missing", on_key=True)
        case "union_tag_not_found" | "union_tag_invalid":
            return _no_feed(path, raw)
        case "literal_error":
            return _not_one_of(path, str(context["expected"]), raw)
        case _ if kind in _TOGETHER:
            return Problem((*path, _TOGETHER[kind]), detail["msg"])
        case _ if kind in _WHOLE:
            return Problem(path, detail["msg"], on_key=True)
        case _ if kind in _OURS:
            return Problem(path, f"`{name}`: {_as_written(detail, value_at(raw, path))}")
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return Problem(path, f"`{name}` must be {words} {context[key]:g}")
    return Problem(path, f"`{name}` {_WHAT.get(kind) or _plain(detail['msg'])}", on_key="[key]" in detail["loc"])


def _as_written(detail: ErrorDetails, written: object) -> str:
    """The message with the reference in place of what was put in, which may be a secret."""
    text = detail["msg"]
    if isinstance(written, str) and "${" in written:
        for value in detail.get("ctx", {}).values():
            text = text.replace(str(value), written)
    return text


def _no_feed(path: tuple[Key, ...], raw: Any) -> Problem:  # noqa: ANN401
    known, what = (HISTORIES, "history") if path[:1] == ("history",) else (FEEDS, "feed")
    shown, possible = value_at(raw, (*path, "type")), listed(list(known))
    if shown is None:
        return Problem(path, f"`type` is missing: {possible}", on_key=True)
    return Problem((*path, "type"), f"there is no {what} of type `{shown}` in this version: write {possible}")


def _path(loc: Sequence[Key]) -> tuple[Key, ...]:
    """The keys of the file: without the feed's type, and the mark of a key, that the validator puts in between."""
    keys = [part for part in loc if part != "[key]"]
    types = {"feeds": FEEDS, "history": HISTORIES}.get(str(keys[0]), {}) if keys else {}
    if len(keys) > 2 and keys[2] in types:  # noqa: PLR2004 - feeds, its name, its type
        del keys[2]
    return tuple(keys)


def _name(path: Sequence[Key]) -> str:
    """The key a value stands at: an item of a list goes by the list's key."""
    return next((str(key) for key in reversed(path) if isinstance(key, str)), "the file")


def _unknown_key(path: tuple[Key, ...], raw: Any) -> Problem:  # noqa: ANN401
    key, above = str(path[-1]), path[:-1]
    section = sections(above, raw)
    known = list(keys_of(section)) if section else []
    found = suggest(key, known)
    hint = f"did you mean `{found}`?" if found else f"possible here: {', '.join(known)}" if known else ""
    return Problem(path, f"unknown key `{key}`", hint, on_key=True)


def _not_one_of(path: tuple[Key, ...], expected: str, raw: Any) -> Problem:  # noqa: ANN401
    shown = value_at(raw, path)
    possible = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    found = suggest(str(shown), possible)
    hint = f"did you mean `{found}`?" if found else ""
    return Problem(path, f"`{_name(path)}` cannot be `{shown}`: write {listed(possible)}", hint)


def _plain(message: str) -> str:
    """The validator's own words, as a continuation of ours."""
    return message.removeprefix("Input ").removeprefix("Value ").replace("should be", "must be", 1)
