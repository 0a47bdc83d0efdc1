"""Keeps what an address holds of secrets out of what is said about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import unquote

_SHORTEST: Final = 4
"""Characters from which on a piece of an address is taken for a secret; shorter ones occur in any sentence."""


def pieces(url: str) -> set[str]:
    """Everything in an address that could be a secret: each piece of it, encoded and not, except the scheme."""
    place, _, query = url.partition("://")[2].partition("?")
    found = re.split(r"[/:@#,]", place) + [value for pair in query.split("&") for value in pair.partition("=")[2:]]
    return {text for piece in found for text in (piece, unquote(piece)) if len(text) >= _SHORTEST}


def redacted(lines: Iterable[str], secrets: Collection[str]) -> list[str]:
    """The lines with asterisks for each secret, white space made one space; empty ones are left out."""
    cleared = []
    for line in lines:
        text = line
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        if text.strip():
            cleared.append(" ".join(text.split()))
    return cleared
