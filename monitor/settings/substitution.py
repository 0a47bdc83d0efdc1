"""``${NAME}`` takes an environment variable and ``${file:/path}`` a file's content, inside any text.

``$${`` stands for a literal ``${``. What was put in is text and is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from monitor.settings.problem import Key, Problem

LARGEST: Final = 64 * 1024
"""Bytes of a file that is put in; larger ones are no secrets but a mistake."""

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Substitution:
    """Replaces the references in a tree of plain values; what is wrong with them is in `problems`."""

    env: Mapping[str, str]
    folder: Path
    """What relative paths of files are relative to."""
    problems: list[Problem] = field(default_factory=list)

    def tree(self, value: Any, path: tuple[Key, ...] = ()) -> Any:  # noqa: ANN401 - whatever stands in the file
        """The same tree with every reference replaced."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return [self.tree(item, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {key: self.tree(item, (*path, key)) for key, item in value.items()}
        return value

    def _text(self, text: str, path: tuple[Key, ...]) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if match[1] is None:
                return self._wrong(path, match[0], "`${` is not closed by `}`", "for a literal `${` write `$${`")
            return self._reference(path, match[0], match[1])

        return _REFERENCE.sub(replace, text) if "${" in text else text

    def _reference(self, path: tuple[Key, ...], reference: str, inner: str) -> str:
        if inner.startswith("file:"):
            return self._file(path, reference, inner.removeprefix("file:"))
        if not _NAME.fullmatch(inner):
            return self._wrong(path, reference, f"`{reference}` is no reference", "write ${NAME} or ${file:/path}")
        if inner not in self.env:
            return self._wrong(path, reference, f"the environment variable `{inner}` is not set", f"export {inner}=...")
        return self.env[inner]

    def _file(self, path: tuple[Key, ...], reference: str, name: str) -> str:
        file = self.folder / Path(name).expanduser()
        try:
            with file.open("rb") as stream:
                content = stream.read(LARGEST + 1)
        except OSError as error:
            return self._wrong(path, reference, f"cannot read `{name}`: {error.strerror}")
        if len(content) > LARGEST:
            return self._wrong(path, reference, f"`{name}` is larger than {LARGEST // 1024} kB")
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            return self._wrong(path, reference, f"`{name}` is not UTF-8 text")

    def _wrong(self, path: tuple[Key, ...], reference: str, message: str, hint: str = "") -> str:
        self.problems.append(Problem(path, message, hint, token=reference))
        return reference


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever stands in the file
    """Names of the environment variables that a tree refers to."""
    if isinstance(value, str):
        yield from (m[1] for m in _REFERENCE.finditer(value) if m[1] and not m[1].startswith("file:"))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
