"""Annotations are Jinja2 templates: what they may contain, and a look at one without running it.

Only the parts of Jinja2 that a sentence needs are accepted: each construct left out is one that can be made to grow
without bound. Messages are rendered elsewhere; here is the contract that both sides keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rules.diagnostics import did_you_mean

NAMES: Final = (
    "value", "labels", "evidence", "at", "episode", "alert", "member", "state", "severity", "reason", "started",
)  # fmt: skip
"""What a template can name."""
FILTERS: Final = ("bp", "pct", "px", "ago", "local")
"""Filters of the monitor's own."""
STANDARD_FILTERS: Final = (
    "abs", "capitalize", "d", "default", "first", "float", "int", "items", "join", "last", "length", "lower", "max",
    "min", "round", "string", "title", "trim", "upper",
)  # fmt: skip
"""Filters of Jinja2 that can be used."""
METHODS: Final = frozenset({"get", "items", "keys", "values"})
"""Methods that can be called."""
MAX_SOURCE: Final = 4_000
"""Characters of a template."""
ALLOWED: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Call,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Keyword, nodes.If, nodes.For,
    nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
)  # fmt: skip
"""Constructs that can be used."""

_WORDS: Final = {"Pow": "**", "Dict": "a dictionary", "Assign": "set", "AssignBlock": "set", "FromImport": "import"}
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(autoescape=False)


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a template; `offset` is a place in its text."""

    message: str
    offset: int
    hint: str = ""


def template_problems(text: str) -> list[TemplateProblem]:
    """Whatever would fail when a message is due: syntax, unknown names and filters, what only grows."""
    if len(text) > MAX_SOURCE:
        return [TemplateProblem(f"a template of {len(text)} characters; {MAX_SOURCE} are the most", 0)]
    try:
        tree = _ENVIRONMENT.parse(text)
        return sorted(_Inspection(text).look(tree, frozenset(NAMES), in_loop=False), key=lambda p: p.offset)
    except TemplateSyntaxError as error:
        message = (error.message or "it cannot be read").rstrip(".")
        hint = "`{{ value | bp }}` shows the value"
        return [TemplateProblem(f"no template: {message}", _line_offset(text, error.lineno), hint)]
    except RecursionError:
        return [TemplateProblem("the template is nested too deep", 0)]


@dataclass(frozen=True, slots=True)
class _Inspection:
    """Looks at every part of one template."""

    text: str

    def look(self, node: nodes.Node, names: frozenset[str], *, in_loop: bool) -> Iterator[TemplateProblem]:
        """Problems of a node and of those below, where `names` are known."""
        refused = self._refused(node, names, in_loop=in_loop)
        if refused is not None:
            yield refused
            return
        if isinstance(node, nodes.For):
            known = names | {
                n.name for n in (node.target, *node.target.find_all(nodes.Name)) if isinstance(n, nodes.Name)
            }
            yield from self.look(node.iter, names, in_loop=in_loop)
            below = [*node.body, *node.else_, *([node.test] if node.test else [])]
            for child in below:
                yield from self.look(child, known | {"loop"}, in_loop=True)
            return
        for child in node.iter_child_nodes():
            yield from self.look(child, names, in_loop=in_loop)

    def _refused(self, node: nodes.Node, names: frozenset[str], *, in_loop: bool) -> TemplateProblem | None:
        """Why a node cannot be used, if it cannot."""
        match node:
            case nodes.Name(name=name) if name not in names:
                message = f"unknown name `{name}`{did_you_mean(name, names)}"
                return self._problem(node, message, name, f"a template has {', '.join(NAMES)}")
            case nodes.Filter(name=name) if name not in FILTERS and name not in STANDARD_FILTERS:
                message = f"unknown filter `{name}`{did_you_mean(name, FILTERS)}"
                return self._problem(node, message, name, f"filters are {', '.join((*FILTERS, *STANDARD_FILTERS))}")
            case nodes.Test(name=name) if name not in _ENVIRONMENT.tests:
                return self._problem(node, f"unknown test `{name}`", name)
            case nodes.Getattr(attr=attribute) if attribute.startswith("_"):
                return self._problem(node, f"`{attribute}` is private", attribute)
            case nodes.For() if in_loop or node.recursive:
                return self._problem(node, "a loop in a loop is not available in messages", "for")
            case nodes.Call(node=called) if not (isinstance(called, nodes.Getattr) and called.attr in METHODS):
                name = called.name if isinstance(called, nodes.Name) else "a function"
                hint = "use filters, such as {{ value | bp }}"
                return self._problem(node, f"{name}() cannot be called in messages", name, hint)
            case _ if isinstance(node, nodes.EvalContextModifier) or not isinstance(node, (*ALLOWED, nodes.Helper)):
                word = _WORDS.get(type(node).__name__, type(node).__name__.lower())
                return self._problem(node, f"`{word}` is not available in messages", word)
            case _:
                return None

    def _problem(self, node: nodes.Node, message: str, word: str, hint: str = "") -> TemplateProblem:
        """Jinja2 knows the line; the word is looked for in it."""
        start = _line_offset(self.text, node.lineno)
        found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(self.text, start)
        return TemplateProblem(message, found.start() if found else start, hint)


def _line_offset(text: str, line: int) -> int:
    return sum(len(part) for part in text.splitlines(keepends=True)[: line - 1])
