"""Matchers of labels in Alertmanager's syntax: ``name=value``, ``!=``, ``=~``, ``!~``; a value may be quoted.

A label that is not there is empty. Regular expressions match the whole value; they are RE2's, as Alertmanager's are,
which take time in proportion to the text whatever the pattern, so that nobody can make the monitor hang with one. The
rule's name is the label ``alertname``, which may be written ``alert`` as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import re2

from monitor.alerting.alert import ALERTNAME

SHORT_NAME: Final = "alert"
MAX_PATTERN: Final = 1_000
_PATTERN_BYTES: Final = 1 << 20
"""Of a compiled pattern; one that would take more is refused."""
_OPTIONS: Final = re2.Options()
_OPTIONS.dot_nl, _OPTIONS.log_errors, _OPTIONS.max_mem = True, False, _PATTERN_BYTES
_MATCHER: Final = re.compile(
    r'\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<op>=~|!~|!=|=)\s*(?P<value>"(?:\\.|[^"\\])*"|[^"]*?)\s*', re.DOTALL
)
_ESCAPES: Final = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)


class Operator(StrEnum):
    """How a label is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


class MatcherError(ValueError):
    """A text is no matcher; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    name: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        """Refuse a pattern that is none.

        Raises:
            MatcherError: It is no regular expression, or longer than a thousand characters.
        """
        if self.is_regex:
            _compiled(self.value)

    @property
    def is_regex(self) -> bool:
        """Whether the value is a pattern."""
        return self.operator in (Operator.MATCHES, Operator.MATCHES_NOT)

    @property
    def is_equal(self) -> bool:
        """Whether the label is wanted to be that, rather than not."""
        return self.operator in (Operator.EQUAL, Operator.MATCHES)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it."""
        found = label(labels, self.name)
        same = _compiled(self.value).fullmatch(found) is not None if self.is_regex else found == self.value
        return same is self.is_equal

    def __str__(self) -> str:
        """As Alertmanager writes it: ``severity="critical"``."""
        text = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{text}"'


def label(labels: Mapping[str, str], name: str) -> str:
    """A label's value; empty where there is none. ``alert`` is the rule's name, unless it is a label of its own."""
    found = labels.get(name)
    if found is None and name == SHORT_NAME:
        found = labels.get(ALERTNAME)
    return found or ""


def parse(text: str) -> Matcher:
    """The matcher written as ``name=value``.

    Raises:
        MatcherError: It is none.

    Examples:
        >>> str(parse('severity=~"warn.*|critical"'))
        'severity=~"warn.*|critical"'
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError(f"`{text}` is no matcher: write name=value, name!=value, name=~pattern or name!~pattern")
    value = found["value"]
    if value.startswith('"'):
        value = _ESCAPED.sub(lambda escape: _ESCAPES.get(escape[0], escape[0]), value[1:-1])
    return Matcher(found["name"], Operator(found["op"]), value)


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil all of them."""
    return all(matcher.matches(labels) for matcher in matchers)


@lru_cache(maxsize=10_000)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    if len(pattern) > MAX_PATTERN:
        raise MatcherError(f"a pattern of {len(pattern)} characters; {MAX_PATTERN} are the most")
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        said = error.args[0].decode(errors="replace") if error.args else ""
        raise MatcherError(f"`{pattern}` is no regular expression: {said}") from None
    except UnicodeEncodeError:
        raise MatcherError("a pattern with half of a surrogate pair, which is no character") from None
