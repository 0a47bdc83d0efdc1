"""Reads the rule files for a daemon, and watches them: a saved change is noticed within half a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rules.diagnostics import Diagnostic, Level
from rules.load import LoadResult, load_rules
from rules.ruleset import AlertRule

_EVERY: Final = 0.3
_SETTLED: Final = 0.1
"""Seconds for which files stand still before they are read."""
_SUFFIXES: Final = (".yaml", ".yml")

Stamp = dict[Path, tuple[int, int]]


def read_rules(paths: Sequence[Path], receivers: Collection[str]) -> LoadResult:
    """The rules, refused as well where one notifies a receiver that is not configured."""
    loaded = load_rules(paths)
    alerts = loaded.ruleset.alerts if loaded.ruleset else ()
    unknown = list(unknown_receivers(alerts, receivers))
    if not unknown:
        return loaded
    known = ", ".join(sorted(receivers))
    faults = [
        Diagnostic(
            rule.source.file,
            line,
            column,
            Level.ERROR,
            f"`{rule.name}` {what} `{name}`, which is no configured receiver",
            hint=f"there is {known}",
        )
        for rule, line, column, what, name in unknown
    ]
    return LoadResult(None, [*loaded.diagnostics, *faults])


def unknown_receivers(
    alerts: Iterable[AlertRule], receivers: Collection[str]
) -> Iterator[tuple[AlertRule, int, int, str, str]]:
    """Receivers that rules name and nobody has configured: rule, line, column, what it does to it, the name."""
    for rule in alerts:
        named = [(rule.source.line, 1, "notifies", name) for name in rule.notify or ()]
        for step in rule.escalate or ():
            named += [(*place, "escalates to", name) for name, place in zip(step.to, step.places, strict=True)]
        yield from ((rule, *each) for each in named if each[-1] not in receivers)


def stamp(paths: Sequence[Path]) -> Stamp:
    """Size and modification time of every rule file under the paths; one that cannot be looked at is not in it."""
    found: Stamp = {}
    for path in _files(paths):
        with contextlib.suppress(OSError):  # gone, or out of reach: reading the rules says which
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


async def watch(paths: Sequence[Path], on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after every change, for ever.

    Polls, since editors and mounted configuration replace files in more ways than notification knows. A change is told
    once the files stand still: one that is being written is empty for a moment, and its alerts would be resolved.
    """
    last = await asyncio.to_thread(stamp, paths)
    while True:
        await asyncio.sleep(_EVERY)
        now = await asyncio.to_thread(stamp, paths)
        if now != last:
            while (then := now) != (now := await _in_a_moment(paths)):
                pass
            last = then
            await on_change()


async def _in_a_moment(paths: Sequence[Path]) -> Stamp:
    await asyncio.sleep(_SETTLED)
    return await asyncio.to_thread(stamp, paths)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            continue
        yield from (p for p in inside if p == path or p.suffix in _SUFFIXES)
