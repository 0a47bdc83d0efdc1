"""What the README, the changelog and the examples say exists, in the words in which they say it."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from monitor.cli.program import program
from monitor.health import GRACE, RECEIVER_FAILING, RULES_INVALID
from monitor.metrics import Metrics
from monitor.settings import Settings, load_settings
from monitor.web.page import PATHS
from rules.functions import FUNCTIONS
from rules.groups import ALERT_KEYS
from rules.load import load_rules

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
EVERYTHING = README + LANGUAGE + OPERATING
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCUMENTS = [ROOT / "CHANGELOG.md", *(ROOT / name / "README.md" for name in (".", "rules", "deploy", "connectors"))]

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README + OPERATING, re.MULTILINE | re.DOTALL)
"""Language and text of each fenced block."""
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", EVERYTHING, flags=re.MULTILINE | re.DOTALL))
SECRETS = {
    "ALPACA_KEY": "AKFAKEFAKE",
    "ALPACA_SECRET": "fakefakefake",
    "MQTT_PASSWORD": "fakefakefake",
    "SMTP_LOGIN": "desk:password",
    "SLACK_TOKENS": "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
}


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def commands() -> Iterator[list[str]]:
    """Every `rotation ...` of the README and the deployment files, in words."""
    lines = [line.removeprefix("$ ") for text in (*blocks("sh"), *blocks("console")) for line in text.splitlines()]
    lines += INLINE
    for file in sorted((ROOT / "deploy").iterdir()):
        lines += re.findall(r"(?<![\w/-])(rotation (?:run|check|history|doctor)[^`\n]*)", file.read_text("utf-8"))
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["rotation"] and len(words) > 1:
            yield words[1:]


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to the headings of a document."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        assert (document.parent / path).exists(), target
        if anchor:
            assert anchor in anchors((document.parent / path).read_text(encoding="utf-8") if path else text), target


def test_the_rules_of_the_documentation_load(tmp_path: Path) -> None:
    language = re.findall(r"^```yaml\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
    found = [text for text in (*blocks("yaml"), *language) if "groups" in yaml.safe_load(text)]
    assert len(found) > 1, "of both documents"
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        loaded = load_rules([file])
        assert loaded.ruleset is not None, [d.render() for d in loaded.diagnostics]
        assert not loaded.diagnostics


def test_the_first_rule_is_said_to_do_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my-rules").mkdir()
    (tmp_path / "my-rules" / "size.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    (tmp_path / "closes.csv").write_text(blocks("csv")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (session,) = blocks("console")
    for step in session.split("\n\n$ "):
        line, _, expected = step.removeprefix("$ ").partition("\n")
        program.main(shlex.split(line)[1:], standalone_mode=False)
        said = "\n".join(text.rstrip() for text in capsys.readouterr().out.splitlines())
        assert said.strip() == "\n".join(text.rstrip() for text in expected.splitlines()).strip()


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    command: click.Command = program
    context = click.Context(program, info_name="rotation")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command `{name}`"
        command = found
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for option in (word for word in rest if word.startswith("-")):
        assert option in known, f"`{command.name}` has no option {option}"


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)", "\n".join([*blocks("sh"), *INLINE])))
    assert {"run", "test", "check", "bench"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_function_is_in_the_table() -> None:
    for signature in FUNCTIONS.values():
        assert f"`{signature.usage}`" in LANGUAGE, signature.usage


def test_every_key_of_an_alert_is_named() -> None:
    listed = next(text for text in INLINE if text.startswith("when until"))
    assert {*listed.split(), "alert"} == set(ALERT_KEYS)


def test_every_setting_is_in_the_table() -> None:
    for name in Settings.model_fields:
        assert re.search(rf"`{name}[`.]", OPERATING), name


def test_every_figure_and_problem_named_exists() -> None:
    exposed = Metrics().expose("application/openmetrics-text")[0].decode()
    for name in set(re.findall(r"\brotation_[a-z_]+", OPERATING)):
        assert f"# TYPE {name.removesuffix('_total')} " in exposed, name
    for name in (*GRACE, RULES_INVALID, RECEIVER_FAILING):
        assert f"`{name}`" in OPERATING


def test_health_is_not_public() -> None:
    assert "/-/healthy" not in PATHS, "the README says that health needs the token"


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "deploy").glob("rotation.*.yaml")))
def test_examples_are_good_configurations_once_they_are_where_they_say(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    file = tmp_path / "rotation.yaml"
    file.write_text((ROOT / "deploy" / name).read_text(encoding="utf-8"), encoding="utf-8")
    prices = tmp_path / "prices.csv"
    prices.write_text(blocks("csv")[0], encoding="utf-8")
    loaded = load_settings(file, SECRETS | {"BARS": str(prices), "CLOSES": str(prices)})
    assert loaded.settings is not None, [d.render() for d in loaded.diagnostics]
    assert not loaded.diagnostics
    assert load_rules(loaded.settings.rules).ruleset is not None


def test_deployment_sets_settings_that_exist() -> None:
    for file in sorted((ROOT / "deploy").iterdir()):
        for variable in re.findall(r"\bROTATION_[A-Z_]+", file.read_text(encoding="utf-8")):
            top = variable.removeprefix("ROTATION_").split("__")[0].lower()
            assert top in Settings.model_fields or variable == "ROTATION_TOKEN", f"{file.name}: {variable}"


def test_compose_builds_what_is_there() -> None:
    file = ROOT / "deploy" / "compose.yaml"
    compose = yaml.safe_load(file.read_text(encoding="utf-8"))
    build = compose["services"]["monitor"]["build"]
    assert ((file.parent / build["context"]) / build["dockerfile"]).is_file()
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / name).exists() for names in copied for name in names.split())


def test_changelog_has_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['project']['version'])}\b", changelog, re.MULTILINE)
