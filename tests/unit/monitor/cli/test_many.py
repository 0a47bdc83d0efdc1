from __future__ import annotations

import click
import pytest

from monitor.cli.many import ManyValuesCommand


@click.command(cls=ManyValuesCommand)
@click.argument("expression", required=False)
@click.option("--data", multiple=True)
@click.option("--rules", multiple=True)
@click.option("--at")
def command(**values):
    return values


def run(*words):
    return command.main(list(words), standalone_mode=False)


@pytest.mark.parametrize(
    "words",
    [
        ("price(IWM)", "--data", "a.csv", "b.csv", "--rules", "r.yaml", "s.yml", "--at", "x"),
        ("--data", "a.csv", "b.csv", "price(IWM)", "--rules", "r.yaml", "s.yml", "--at", "x"),
        ("--data", "a.csv", "--data", "b.csv", "--at", "x", "price(IWM)", "--rules", "r.yaml", "s.yml"),
        ("--at", "x", "--data", "a.csv", "b.csv", "--rules", "r.yaml", "s.yml", "--", "price(IWM)"),
    ],
)
def test_values_after_one_flag(words):
    assert run(*words) == {
        "expression": "price(IWM)", "data": ("a.csv", "b.csv"), "rules": ("r.yaml", "s.yml"), "at": "x",
    }  # fmt: skip


def test_a_file_without_a_known_ending_must_exist(tmp_path):
    path = tmp_path / "bars"
    path.write_text("")
    assert run("--data", "a.csv", str(path))["data"] == ("a.csv", str(path))
    assert run("--data", "a.csv", "bars")["expression"] == "bars"
    assert run("--data", "a.csv", "x" * 5000)["expression"] == "x" * 5000
