"""What the YAML parser objects to, in words for who wrote the file."""

from __future__ import annotations

from typing import Final

import yaml

QUOTE: Final = "a text that begins with one of * & ! % @ ` { [ | > ' \" # is quoted"


def explained(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str, str]:
    """The place in `text` where reading stopped, what is wrong there, and what may help (empty if unknown)."""
    mark = error.problem_mark or error.context_mark
    index = min(mark.index, len(text)) if mark else 0
    problem = (error.problem or error.context or "no YAML").removeprefix("did not find ")
    found = text[index : index + 1]
    if found == "\t":
        return index, "a tab cannot indent", "indent with spaces"
    if "mapping values are not allowed" in problem:
        return (
            index,
            "a `:` that belongs to no key",
            "quote a text with `: ` in it; keys of one thing begin in one column",
        )
    if "cannot start any token" in problem:
        return index, f"a text cannot begin with `{found}`", QUOTE
    if error.context_mark and error.context:
        begun = error.context_mark.index
        context = error.context.removeprefix("while parsing ").removeprefix("while scanning ")
        lines = text.count("\n", 0, begun)
        where = "" if "\n" not in text[begun:index] else f" that begins on line {lines + 1}"
        return index, f"no YAML: in {context}{where}: {_expected(problem)}", _hint(problem)
    return index, f"no YAML: {problem}", ""


def _expected(problem: str) -> str:
    return problem if problem.startswith(("found", "unknown", "could")) else f"{problem} here"


def _hint(problem: str) -> str:
    if "comment or line break" in problem:
        return "a text that begins with a quote ends with it: put double quotes around the whole"
    if "expected key" in problem:
        return (
            "keys of one thing begin in one column; a text that begins with a quote ends with it: quote it as a whole"
        )
    return "a quote or a bracket may not be closed" if "end of stream" in problem or "',' or" in problem else ""
