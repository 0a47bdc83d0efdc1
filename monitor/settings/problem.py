"""Something wrong with the configuration, by the path of keys that leads to it; where that stands is found later."""

from __future__ import annotations

from dataclasses import dataclass

Key = str | int


@dataclass(frozen=True, slots=True)
class Problem:
    """`on_key`: it is about the key, not its value. `token`: the part of the value that it is about."""

    path: tuple[Key, ...]
    message: str
    hint: str = ""
    on_key: bool = False
    token: str = ""
