"""What a fresh machine relies on: complete locks without addresses, and one version everywhere."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ["requirements.lock", "requirements-dev.lock"]

PIN = re.compile(r"(?P<requirement>[a-z0-9][a-z0-9-]*==[^\s;]+(?: ; [^\\]+)?) \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(lock: str) -> list[Requirement]:
    """The requirements of a lock file; a line that is neither a pin, a hash nor a comment fails the test."""
    found: list[Requirement] = []
    hashes = 0
    for number, line in enumerate((ROOT / lock).read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        if pin := PIN.fullmatch(line):
            assert hashes or not found, f"{lock}:{number}: the requirement before this line has no hash"
            found.append(Requirement(pin["requirement"]))
            hashes = 0
        else:
            assert HASH.fullmatch(line), f"{lock}:{number}: neither a pinned version nor a hash: {line}"
            hashes += 1
    assert hashes, f"{lock}: the last requirement has no hash"
    return found


def direct(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for to run, and for the dependency groups named."""
    listed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    for group in groups:
        listed += PROJECT["dependency-groups"][group]
    return [Requirement(text) for text in listed]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_versions_and_hashes_only(lock: str) -> None:
    assert pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert " @ " not in text


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ["build"]), ("requirements-dev.lock", ["build", "dev"])]
)
def test_lock_satisfies_every_direct_dependency(lock: str, groups: list[str]) -> None:
    # A lock may pin one package twice, for older and newer Pythons.
    locked = pins(lock)
    for wanted in direct(*groups):
        versions = [pin.specifier for pin in locked if pin.name == canonicalize_name(wanted.name)]
        assert versions, f"{wanted.name} is not in {lock}: run `make lock`"
        for (version,) in versions:
            assert version.version in wanted.specifier, (
                f"{lock} has {wanted.name}{version}, not {wanted}: run `make lock`"
            )


def test_development_lock_holds_the_runtime_lock() -> None:
    development = {str(pin) for pin in pins("requirements-dev.lock")}
    assert {str(pin) for pin in pins("requirements.lock")} <= development


def test_every_dependency_is_justified() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for requirement in direct("build", "dev"):
        assert re.search(rf'^ *"{re.escape(requirement.name)}\b.*", +# \S', text, re.MULTILINE), requirement.name


def test_changelog_begins_with_the_version() -> None:
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == PROJECT["project"]["version"]


def test_installed_version_is_that_of_the_project() -> None:
    assert importlib.metadata.version("rotation-monitor") == PROJECT["project"]["version"]


def test_command_is_declared() -> None:
    (command,) = importlib.metadata.distribution("rotation-monitor").entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("rotation", "monitor.cli:main")
