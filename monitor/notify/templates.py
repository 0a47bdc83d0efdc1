"""Message templates of rules: Jinja2 in its sandbox, narrowed so that no template can hang or flood the daemon.

Jinja2's sandbox keeps a template from reaching the interpreter; it does not bound time or memory (nested loops,
``'x' * 10**9``, a string that doubles itself). So only the parts of the language that a sentence needs are accepted,
each rendering has a budget of steps, and its output is cut off. :func:`check` tells at load what is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
from jinja2 import meta, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from monitor.notify import values

NAMES: Final = (
    "value",
    "labels",
    "evidence",
    "at",
    "episode",
    "alert",
    "member",
    "state",
    "severity",
    "reason",
    "started",
)
"""What a template can name."""
_FILTERS: Final = (
    "abs",
    "capitalize",
    "d",
    "default",
    "first",
    "float",
    "int",
    "items",
    "last",
    "length",
    "lower",
    "max",
)
_FILTERS_TOO: Final = ("min", "round", "title", "trim", "upper")
_METHODS: Final = frozenset({"get", "items", "keys", "values"})
_MAX_SOURCE: Final = 4_000
_MAX_JOINED: Final = 10_000
_MAX_STEPS: Final = 20_000
"""Attribute and item look-ups, operations and turns of loops (by what is in them) of one rendering; a sentence needs
tens."""
_EACH: Final = "_each"
"""The filter that every loop goes through; templates cannot name it, as they are read before it is put in."""
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.If,
    nodes.For,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Neg,
    nodes.Pos,
    nodes.Concat,
    nodes.Tuple,
    nodes.List,
    nodes.Keyword,
    nodes.Call,
)
_WORDS: Final[Mapping[str, str]] = {
    "Assign": "set",
    "AssignBlock": "set",
    "NSRef": "set",
    "CallBlock": "call",
    "Pow": "**",
    "Dict": "a dictionary",
    "FromImport": "import",
}

_steps: ContextVar[int] = ContextVar("template_steps")


class TemplateError(Exception):
    """A template cannot be compiled or rendered; the text says why, with the line where it is known."""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox with a budget; arithmetic is on numbers only, so that no string can be multiplied."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        _spend()
        for side in (left, right):
            if isinstance(side, jinja2.Undefined):
                str(side)  # a strict undefined raises here, and names what is missing
            if isinstance(side, bool) or not isinstance(side, int | float):
                raise TemplateError(f"`{operator}` works on numbers, not on {type(side).__name__}; join texts with `~`")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: object, attribute: str) -> object:
        _spend()
        if isinstance(obj, Mapping) and attribute in obj and attribute not in _METHODS:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: object, argument: Any) -> object:  # noqa: ANN401 - as the base class has it
        _spend()
        return super().getitem(obj, argument)


def _spend(steps: int = 1) -> None:
    left = _steps.get(_MAX_STEPS) - steps
    if left < 0:
        raise TemplateError(f"takes more than {_MAX_STEPS:,} steps to render")
    _steps.set(left)


def check(text: str) -> str | None:
    """What is wrong with a template, as one line; None if nothing is. Called when rules are loaded."""
    try:
        _compiled(text)
    except TemplateError as error:
        return str(error)
    return None


def render(text: str, names: Mapping[str, object], zone: ZoneInfo = values.NEW_YORK, limit: int = 300) -> str:
    """The template's text with `names` filled in, at most `limit` characters (then it ends in an ellipsis).

    Raises TemplateError: the template is not accepted, names something that does not exist, or is too much work.
    """
    template = _compiled(text)
    token = _steps.set(_MAX_STEPS)
    parts: list[str] = []
    length = 0
    try:
        for part in template.generate({**names, "_zone": zone}):
            parts.append(part)
            length += len(part)
            if length > limit:
                break
    except TemplateError:
        raise
    except Exception as error:  # whatever an operation on the author's values raises: it is the template that is wrong
        raise TemplateError(
            f"{type(error).__name__}: {error}" if not isinstance(error, jinja2.TemplateError) else str(error)
        ) from error
    finally:
        _steps.reset(token)
    return clipped("".join(parts), limit)


def clipped(text: str, limit: int) -> str:
    """The text, or its start and an ellipsis if it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


@lru_cache(maxsize=4096)
def _compiled(text: str) -> jinja2.Template:
    if len(text) > _MAX_SOURCE:
        raise TemplateError(f"is {len(text):,} characters long; {_MAX_SOURCE:,} are allowed")
    environment = _environment()
    try:
        tree = environment.parse(text)
        _inspect(tree, loops=0)
        unknown = sorted(meta.find_undeclared_variables(tree).difference(NAMES))
        if unknown:
            raise TemplateError(f"no such name: {', '.join(unknown)}; there are {', '.join(NAMES)}")
        for loop in tree.find_all(nodes.For):
            size = sum(1 for part in (*loop.body, *loop.else_) for _ in (part, *part.find_all(nodes.Node)))
            loop.iter = nodes.Filter(loop.iter, _EACH, [nodes.Const(size)], [], None, None, lineno=loop.lineno)
        return environment.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from error
    except (
        RecursionError,
        MemoryError,
        SyntaxError,
    ) as error:  # of Python's own compiler, when parentheses are too deep
        raise TemplateError("is nested too deeply") from error


def _inspect(node: nodes.Node, loops: int) -> None:
    """Refuse what a sentence does not need: each construct left out is one that can be made to grow without bound."""
    line = f"line {node.lineno}: "
    if isinstance(node, nodes.EvalContextModifier) or not isinstance(node, (*_ALLOWED, nodes.Helper)):
        word = _WORDS.get(type(node).__name__, type(node).__name__.lower())
        raise TemplateError(f"{line}`{word}` is not available in messages")
    if isinstance(node, nodes.For):
        loops += 1
        if loops > 1 or node.recursive:
            raise TemplateError(f"{line}a loop in a loop is not available in messages")
    if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS):
        called = node.node.name if isinstance(node.node, nodes.Name) else "a function"
        raise TemplateError(f"{line}{called}() cannot be called in messages; use filters, such as {{{{ value | bp }}}}")
    if isinstance(node, nodes.Filter) and (node.name == _EACH or node.name not in _environment().filters):
        known = ", ".join(sorted(name for name in _environment().filters if name != _EACH))
        raise TemplateError(f"{line}no filter named {node.name}; there are {known}")
    if isinstance(node, nodes.Test) and node.name not in _environment().tests:
        raise TemplateError(f"{line}no test named {node.name}")
    for child in node.iter_child_nodes():
        _inspect(child, loops)


@cache
def _environment() -> SandboxedEnvironment:
    environment = _Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals.clear()
    standard = {name: environment.filters[name] for name in (*_FILTERS, *_FILTERS_TOO)}
    environment.filters.clear()
    environment.filters.update(standard)
    environment.filters.update({_EACH: _each})
    environment.filters.update(string=_string, join=_join, bp=_bp, pct=_pct, px=_px, ago=_ago, local=_local)
    return environment


def _each(items: Iterable[object], size: int) -> Iterator[object]:
    """The items of a loop, each paid for by the size of what is done with it."""
    for item in items:
        _spend(1 + size)
        yield item


def _string(value: object) -> str:
    return clipped(str(_defined(value)), _MAX_JOINED)


def _join(items: Iterable[object], separator: object = "") -> str:
    parts, length = [], 0
    for item in items:
        _spend()
        parts.append(str(item))
        length += len(parts[-1]) + len(str(separator))
        if length > _MAX_JOINED:
            raise TemplateError(f"join makes a text longer than {_MAX_JOINED:,} characters")
    return str(separator).join(parts)


def _bp(value: object) -> str:
    return values.bp(_defined(value))


def _pct(value: object, digits: int = 2) -> str:
    return values.pct(_defined(value), digits)


def _px(value: object) -> str:
    return values.px(_defined(value))


@jinja2.pass_context
def _ago(context: Context, value: object) -> str:
    """Before the moment of the decision, so that a replay says the same."""
    return values.ago(_time(value), int(context["at"]))


@jinja2.pass_context
def _local(context: Context, value: object, pattern: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    return values.local(_time(value), context["_zone"], pattern)


def _defined(value: object) -> object:
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, and names what is missing
    return value


def _time(value: object) -> int:
    _defined(value)
    if isinstance(value, dt.datetime):
        return int(value.timestamp()) * 1_000_000_000 + value.microsecond * 1_000
    if isinstance(value, bool) or not isinstance(value, int):
        raise TemplateError(f"{value!r} is not a time; `at`, `started` and the ts of a price are")
    return value
