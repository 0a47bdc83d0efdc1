"""``rotation preview``: at every threshold, what the backtest says of the rule with that threshold."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest

RULES = """
universes: {{pair: [IWM, QQQ]}}
groups:
  - name: g
    rules:
      - {{record: lead, value: "excess(IWM, SPY, 3d)"}}
      - {{alert: ahead, when: lead > {when}bp, until: lead < {until}bp}}
      - {{alert: each-ahead, each: pair, when: "excess(it, SPY, 1d) > {when}bp", keep_firing_for: 1h}}
"""


@pytest.fixture
def daily(tmp_path):
    """Random walks of 120 sessions."""
    random = np.random.default_rng(5)
    days = np.busday_offset("2025-01-02", np.arange(140), roll="forward")
    holidays = {dt.date(2025, 1, 9), dt.date(2025, 1, 20), dt.date(2025, 2, 17), dt.date(2025, 4, 18),
                dt.date(2025, 5, 26), dt.date(2025, 6, 19), dt.date(2025, 7, 4)}  # fmt: skip
    sessions = [d for d in days.tolist() if d not in holidays][:120]
    lines = ["ts,symbol,close"]
    for symbol in ("IWM", "SPY", "QQQ"):
        prices = 100 * np.exp(np.cumsum(random.normal(0, 0.012, len(sessions))))
        lines += [f"{day},{symbol},{price:.4f}" for day, price in zip(sessions, prices, strict=True)]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(lines))
    return path


def write(tmp_path, when, until):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.format(when=when, until=until))
    return path


def backtested(rotation, name):
    """How often a rule fires and flaps, of the backtest's table."""
    said = rotation("backtest", "--rules", "rules.yaml", "--data", "daily.csv")
    row = next(line for line in said.out.splitlines() if re.match(rf"{name}  +\d", line))
    return re.split(r"  +", row)[1:7]


def previewed(rotation, name, sweep):
    said = rotation("preview", name, "--threshold", sweep, "--rules", "rules.yaml", "--data", "daily.csv")
    assert (said.code, said.err) == (0, "")
    rows = [re.split(r"  +", line) for line in said.out.splitlines()]
    return {row[0].split(" ")[0]: row[1:] for row in rows if re.match(r"-?\d", row[0])}


@pytest.mark.parametrize("name", ["ahead", "each-ahead"])
def test_every_row_is_what_the_backtest_says_with_that_threshold(rotation, daily, tmp_path, name):
    write(tmp_path, 200, 100)
    rows = previewed(rotation, name, "50bp..350bp/50bp")
    assert list(rows) == [f"{n}bp" for n in range(50, 400, 50)]
    for when in range(50, 400, 50):
        write(tmp_path, when, when - 100)
        assert rows[f"{when}bp"] == backtested(rotation, name), when
    fired = [int(row[0]) for row in rows.values()]
    assert fired[0] > fired[-1] > 0


def test_it_says_what_moves_and_marks_the_present_threshold(rotation, daily, tmp_path):
    write(tmp_path, 200, 100)
    said = rotation(
        "preview", "ahead", "--threshold", "150bp..250bp/50bp", "--rules", "rules.yaml", "--data", "daily.csv"
    )
    lines = said.out.splitlines()
    assert lines[:2] == [
        "ahead: the number of `lead > 200bp` moves (< marks the rule's own)",
        "`until: lead < 100bp` keeps its distance of 100bp",
    ]
    assert lines[3].split() == [
        "threshold",
        "fired",
        "firing",
        "now",
        "trading",
        "time",
        "longest",
        "flaps",
        "a",
        "week",
    ]
    assert [line.split()[0:2] for line in lines[5:6]] == [["200bp", "<"]]
    said = rotation("preview", "each-ahead", "--threshold", "1%..2%/1%", "--rules", "rules.yaml", "--data", "daily.csv")
    assert said.out.splitlines()[0].endswith("2 members counted together")


def test_json_is_one_line_a_threshold(rotation, daily, tmp_path):
    write(tmp_path, 200, 100)
    words = ("preview", "ahead", "--rules", "rules.yaml", "--data", "daily.csv", "--format", "json")
    said = rotation(*words, "--threshold", "150bp..250bp/50bp")
    assert [r["threshold"] for r in said.records] == [0.015, 0.02, 0.025]
    assert [r["until"] for r in said.records] == [[pytest.approx(x)] for x in (0.005, 0.01, 0.015)]
    assert [r["current"] for r in said.records] == [False, True, False]
    assert all(r["fired"] > 0 and r["trading_seconds"] >= r["longest_seconds"] > 0 for r in said.records)
    part = rotation(*words, "--threshold", "200bp..200bp/50bp", "--from", "2025-03-03", "--to", "2025-04-30")
    assert 0 < part.records[0]["fired"] < said.records[1]["fired"]
    negative = rotation(*words, "--threshold", "-100bp..0bp/50bp")
    assert [r["text"] for r in negative.records] == ["-100bp", "-50bp", "0bp"]


def test_without_rules_those_of_the_configuration_or_the_shipped_ones(rotation, daily, tmp_path):
    words = ("--threshold", "100bp..200bp/100bp", "--data", "daily.csv", "--format", "json")
    shipped = rotation("preview", "small-caps-lead-large-caps", *words)
    assert shipped.code == 0
    assert len(shipped.records) == 2
    write(tmp_path, 200, 100)
    (tmp_path / "rotation.yaml").write_text("rules: [rules.yaml]\nfeeds: {sim: {type: simulator}}\n")
    assert rotation("preview", "ahead", *words).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ahed", "--threshold", "1%..2%/1%"], "error: no alert is named `ahed`: did you mean `ahead`?"),
        (["lead", "--threshold", "1%..2%/1%"], "error: `lead` is a record, and only an alert fires"),
        (["ahead", "--threshold", "1%..2%"], "error: `1%..2%` is no range of thresholds: write A..B/STEP"),
        (["ahead", "--threshold", "1..2/1"], "error: the threshold of `ahead` is that of `lead > 200bp`, a ratio"),
        (["ahead", "--threshold", "1bp..2000bp/1bp"], "2000 thresholds; 1000 are the most"),
        (["ahead"], "Missing option '--threshold'"),
        (["ahead", "--threshold", "1%..2%/1%", "--calendar", "XMOON"], "error: "),
    ],
)
def test_wrong_use(rotation, daily, tmp_path, words, message):
    write(tmp_path, 200, 100)
    said = rotation("preview", *words, "--rules", "rules.yaml", "--data", "daily.csv")
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1
