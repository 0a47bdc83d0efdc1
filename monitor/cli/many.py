"""Options that take several values after one flag: ``--data a.parquet b.parquet``, as well as the flag twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

_SUFFIXES: Final = frozenset({".parquet", ".csv", ".yaml", ".yml"})


class ManyValuesCommand(click.Command):
    """Folds what follows an option's first value into the option, as long as it is a file and no other argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, after the folding."""
        several = {name for p in self.params if isinstance(p, click.Option) and p.multiple for name in p.opts}
        takes_arguments = any(isinstance(p, click.Argument) for p in self.params)
        return super().parse_args(ctx, list(_folded(args, several, takes_arguments)))


def _folded(args: list[str], several: set[str], takes_arguments: bool) -> Iterator[str]:  # noqa: FBT001
    option = ""
    values = 0
    for place, word in enumerate(args):
        if word == "--":
            yield from args[place:]
            return
        if word.startswith("-"):
            option, values = (word if word in several else ""), 0
            yield word
            continue
        if option and values and (not takes_arguments or _is_file(word)):
            yield option
        values += 1
        yield word


def _is_file(word: str) -> bool:
    try:
        return Path(word).suffix.lower() in _SUFFIXES or Path(word).exists()
    except OSError:  # longer than a name can be: an expression
        return False
