"""Annotations are Jinja2 templates: a look at their syntax and names, without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rules.diagnostics import did_you_mean

VARIABLES: Final = ("value", "labels", "evidence", "at", "episode", "alert", "member")
FILTERS: Final = ("bp", "pct", "px", "ago", "local")

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(autoescape=False)


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a template; `offset` is a place in its text."""

    message: str
    offset: int
    hint: str = ""


def template_problems(text: str) -> list[TemplateProblem]:
    """Whatever would make a template fail when a message is due: syntax, unknown names and filters, other files."""
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        message = (error.message or "no template").rstrip(".")
        return [
            TemplateProblem(
                f"no template: {message}", _line_offset(text, error.lineno), "`{{ value | bp }}` shows the value"
            )
        ]
    except RecursionError:
        return [TemplateProblem("the template is nested too deep", 0)]
    return sorted(_unknown(tree, text), key=lambda p: p.offset)


def _unknown(tree: nodes.Template, text: str) -> Iterator[TemplateProblem]:
    names = list(tree.find_all(nodes.Name))
    known = {*VARIABLES, *_ENVIRONMENT.globals, *(n.name for n in names if n.ctx != "load")}
    for name in names:
        if name.ctx == "load" and name.name not in known:
            message = f"unknown name `{name.name}`{did_you_mean(name.name, VARIABLES)}"
            yield _problem(text, name, message, name.name, f"a template has {', '.join(VARIABLES)}")
    for used in tree.find_all(nodes.Filter):
        if used.name not in FILTERS and used.name not in _ENVIRONMENT.filters:
            message = f"unknown filter `{used.name}`{did_you_mean(used.name, FILTERS)}"
            yield _problem(text, used, message, used.name, f"filters are {', '.join(FILTERS)}, and those of Jinja2")
    for test in tree.find_all(nodes.Test):
        if test.name not in _ENVIRONMENT.tests:
            yield _problem(text, test, f"unknown test `{test.name}`", test.name)
    for part in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
        yield _problem(text, part, "a template cannot use another one")
    for attribute in tree.find_all(nodes.Getattr):
        if attribute.attr.startswith("_"):
            yield _problem(text, attribute, f"`{attribute.attr}` is private", attribute.attr)


def _problem(text: str, node: nodes.Node, message: str, word: str = "", hint: str = "") -> TemplateProblem:
    """Jinja2 knows the line; the word is looked for in it."""
    start = _line_offset(text, node.lineno)
    found = re.compile(rf"\b{re.escape(word)}\b").search(text, start) if word else None
    return TemplateProblem(message, found.start() if found else start, hint)


def _line_offset(text: str, line: int) -> int:
    return sum(len(part) for part in text.splitlines(keepends=True)[: line - 1])
