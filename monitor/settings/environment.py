"""Every key as an environment variable: ``ROTATION_LATENESS=1m``, ``ROTATION_FEEDS__IEX__KEY=...``.

``__`` goes one level down; lists and mappings are written as in YAML. A name that stands in the file is found whatever
its case, ``_`` also standing for ``-`` and ``.``; a new one is in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.settings.explain import sections
from monitor.settings.model import Settings
from monitor.settings.problem import Key
from monitor.settings.substitution import references
from monitor.settings.tree import plain_tree
from rules import document
from rules.diagnostics import Diagnostic, Level, suggest

PREFIX: Final = "ROTATION_"
FILE: Final = "environment"
"""What stands in the place of a file's name in messages."""


@dataclass(slots=True)
class Overlay:
    """The tree with what the environment says; by path, the variables that said so."""

    tree: dict[str, Any]
    origins: dict[tuple[Key, ...], str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def origin(self, path: Sequence[Key]) -> str | None:
        """The variable that a value comes from; None where it comes from the file."""
        return next(
            (self.origins[tuple(path[:n])] for n in range(len(path), 0, -1) if tuple(path[:n]) in self.origins), None
        )


def overlay(tree: dict[str, Any], env: Mapping[str, str]) -> Overlay:
    """Put the environment's settings over those of the file. The file's tree is not changed."""
    result = Overlay(_copy(tree))
    referred = set(references(tree))
    for variable in sorted(v for v in env if v.startswith(PREFIX)):
        words = variable.removeprefix(PREFIX).split("__")
        top = words[0].lower()
        if top in Settings.model_fields:
            _put(result, variable, [top, *words[1:]], env[variable])
        # Other names are free: they may be meant for a `${...}`, or set by whoever runs the container.
        elif variable not in referred and (alike := suggest(top, Settings.model_fields)):
            message = f"{variable} is no setting and is ignored"
            result.diagnostics.append(
                Diagnostic(FILE, 0, 0, Level.WARNING, message, f"did you mean `{PREFIX}{alike.upper()}`?")
            )
    return result


def _put(result: Overlay, variable: str, words: list[str], text: str) -> None:
    at: dict[str, Any] = result.tree
    path: tuple[Key, ...] = ()
    for word in words[:-1]:
        path = (*path, _key(word, path, at))
        below = at.get(str(path[-1]))
        if not isinstance(below, dict):
            below = at[str(path[-1])] = {}
        at = below
    path = (*path, _key(words[-1], path, at))
    at[str(path[-1])] = _value(text)
    result.origins[path] = variable


def _value(text: str) -> Any:  # noqa: ANN401 - whatever stands in the variable
    """Lists and mappings are read as YAML; anything else is text as it is: a password may have `: ` or ` #` in it."""
    if not text.strip():
        return None
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return plain_tree(document.load(text, FILE).root)
    except document.DocumentError:
        return text  # such as [::1]:8600


def _key(word: str, above: tuple[Key, ...], siblings: Mapping[str, Any]) -> str:
    section = sections(above, {})
    known = [*siblings, *(section.model_fields if section else ())]
    folded = _fold(word)
    return next((key for key in known if _fold(key) == folded), word.lower())


def _fold(word: str) -> str:
    return word.lower().replace("-", "_").replace(".", "_")


def _copy(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value
