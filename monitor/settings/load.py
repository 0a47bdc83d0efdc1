"""From ``rotation.yaml`` and the environment to :class:`Settings`, or to everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from monitor.settings import environment
from monitor.settings.explain import explain, sections, unknown_names
from monitor.settings.masking import Mask
from monitor.settings.model import Settings
from monitor.settings.problem import Key, Problem
from monitor.settings.substitution import Substitution
from monitor.settings.tree import plain_tree
from rules import document
from rules.diagnostics import Diagnostic, Level
from rules.document import Document, DocumentError

LIBRARY: Final = "library"
"""Folder of the shipped rules, in the package `rules`."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """`settings` is None exactly if an error is among the diagnostics; warnings may be there in any case."""

    settings: Settings | None
    diagnostics: tuple[Diagnostic, ...] = ()


def load_settings(
    path: Path | None, env: Mapping[str, str], *, demo: Path | None = None, only: str | None = None
) -> LoadedSettings:
    """Read the configuration.

    Args:
        path: The file; None for the defaults with what the environment says. Paths in it are relative to its folder
            (without a file: to the working folder).
        env: The environment: ``ROTATION_...`` and what ``${NAME}`` takes.
        demo: Start from the demonstration instead, which keeps its data in this folder.
        only: Read this section alone, the rest as its defaults: a command that asks the running monitor needs `web`,
            and not the secrets of its feeds and receivers.
    """
    if path is None:
        return _settle(Document("settings", "", None), _demo(demo) if demo else {}, env, Path.cwd(), only)
    try:
        source = document.load(path)
    except DocumentError as error:
        mask = Mask(error.document)
        return LoadedSettings(None, tuple(mask.diagnostic(d) for d in error.diagnostics))
    tree = plain_tree(source.root)
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        return LoadedSettings(
            None, (source.diagnostic(0, "a configuration is keys and values, such as `calendar: XNYS`"),)
        )
    return _settle(source, tree, env, path.resolve().parent, only)


def _settle(
    source: Document, tree: dict[str, Any], env: Mapping[str, str], folder: Path, only: str | None
) -> LoadedSettings:
    laid = environment.overlay(tree, env)
    wanted = laid.tree if only is None else {key: value for key, value in laid.tree.items() if key == only}
    substitution = Substitution(env, folder)
    values = _without_blanks(substitution.tree(wanted), (), laid.tree)
    settings: Settings | None = None
    problems: list[Problem] = list(substitution.problems)
    try:
        settings = Settings.model_validate({"store": {}} | values, context={"folder": folder})
    except ValidationError as error:
        unresolved = {p.path for p in problems}
        problems += [p for p in explain(error, laid.tree) if p.path not in unresolved]
    problems += unknown_names(values)
    mask = Mask(source)
    found = [*laid.diagnostics, *(mask.diagnostic(_diagnostic(p, source, laid)) for p in problems)]
    found.sort(key=lambda d: (d.line, d.column))
    failed = any(d.severity is Level.ERROR for d in found)
    return LoadedSettings(None if failed else settings, tuple(found))


def _diagnostic(problem: Problem, source: Document, laid: environment.Overlay) -> Diagnostic:
    """The problem where it stands: in the file, or in an environment variable."""
    if variable := laid.origin(problem.path):
        message = problem.message.removeprefix(f"`{problem.path[-1]}`: ")
        return Diagnostic(environment.FILE, 0, 0, Level.ERROR, f"{variable}: {message}", problem.hint)
    if source.root is None:
        return Diagnostic(source.file, 0, 0, Level.ERROR, problem.message, problem.hint)
    line, column = source.key_position(problem.path) if problem.on_key else source.position(problem.path)
    if problem.token:
        offset = _text_at(source, problem.path).find(problem.token)
        if offset >= 0:
            line, column = source.text_position(problem.path, offset)
    return Diagnostic(source.file, line, column, Level.ERROR, problem.message, problem.hint, source.line(line))


def _text_at(source: Document, path: tuple[Key, ...]) -> str:
    try:
        return str(plain_tree(source.node(path)))
    except KeyError:
        return ""


def _without_blanks(value: Any, path: tuple[Key, ...], raw: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """A known key with nothing written after it means its default; an unknown one stays, to be refused."""
    if isinstance(value, list):
        return [_without_blanks(item, (*path, n), raw) for n, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    section = sections(path, raw)
    known = section.model_fields if section else {}
    return {
        key: _without_blanks(item, (*path, key), raw)
        for key, item in value.items()
        if item is not None or key not in known
    }


def _demo(folder: Path) -> dict[str, Any]:
    """The demonstration: the embedded exchange, the shipped rules, alerts on the console, all on this machine."""
    library = Path(str(resources.files("rules") / LIBRARY))
    return {
        "store": {"url": "embedded", "data_dir": str(folder)},
        "clock": "event",
        "rules": [str(library)],
        "feeds": {"sim": {"type": "simulator"}},
    }


def config_schema() -> dict[str, Any]:
    """JSON Schema of ``rotation.yaml``."""
    schema = Settings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": "rotation.yaml"}


def is_config(keys: Iterable[str]) -> bool:
    """Whether a file with these keys at its top is a configuration: it has more keys of one than of a rule file."""
    names = set(keys)
    return len(names & set(Settings.model_fields)) > len(names & RULE_KEYS)


RULE_KEYS: Final = frozenset({"version", "aliases", "baskets", "universes", "groups"})
"""Keys at the top of a rule file."""
