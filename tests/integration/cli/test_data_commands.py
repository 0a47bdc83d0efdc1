"""``eval`` and ``backtest`` on small files, and what they say about wrong ones."""

from __future__ import annotations

import datetime as dt

import pytest

RULES = """
groups:
  - name: g
    rules:
      - {alert: ahead, when: 'excess(IWM, SPY, 1d) > 100bp', for: 10m, labels: {desk: a}, severity: critical}
"""
START = dt.datetime(2026, 1, 5, 14, 30, tzinfo=dt.UTC)


@pytest.fixture
def daily(tmp_path):
    """IWM gains 2 % a day on the 5th, 6th and 7th, and nothing after; SPY stands still."""
    closes = {
        "2026-01-02": 100,
        "2026-01-05": 102,
        "2026-01-06": 104.04,
        "2026-01-07": 106.1208,
        "2026-01-08": 106.1208,
    }
    lines = [f"{day},IWM,{close}\n{day},SPY,100" for day, close in closes.items()]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["ts,symbol,close", *lines]))
    return path


@pytest.fixture
def bars(tmp_path):
    """Five-minute bars of 5 January: IWM at 103 from the third on."""
    lines = []
    for step, price in enumerate([100, 100.5, 103, 103, 103, 103]):
        at = (START + dt.timedelta(minutes=5 * step)).isoformat()
        lines += [f"{at},IWM,{price},{price},{price},{price},10", f"{at},SPY,100,100,100,100,10"]
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["ts,symbol,open,high,low,close,volume", *lines]))
    return path


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_eval_of_session_data_is_at_every_close(rotation, daily):
    said = rotation("eval", "ret(IWM, 1d)", "--data", daily, "--format", "json")
    assert (said.code, said.err) == (0, "")
    assert [r["ts"] for r in said.records] == [f"2026-01-0{day}T21:00:00Z" for day in (2, 5, 6, 7, 8)]
    assert [r["value"] for r in said.records] == [None, *[pytest.approx(x, abs=1e-12) for x in (0.02, 0.02, 0.02, 0.0)]]


def test_eval_of_a_range_uses_what_is_earlier_as_history(rotation, daily):
    said = rotation(
        "eval", "ret(IWM, 2d)", "--data", daily, "--from", "2026-01-07", "--to", "2026-01-07", "--format", "json"
    )
    assert said.records == [{"ts": "2026-01-07T21:00:00Z", "value": pytest.approx(0.0404)}]


def test_eval_of_one_moment(rotation, daily):
    said = rotation(
        "eval", "streak(ret(IWM, 1d) > ret(SPY, 1d))", "--data", daily, "--at", "2026-01-07", "--format", "json"
    )
    assert said.records == [{"ts": "2026-01-07T21:00:00Z", "value": 3.0}]


def test_eval_of_a_condition_is_true_false_or_null(rotation, daily):
    said = rotation("eval", "ret(IWM, 1d) > 1%", "--data", daily, "--format", "json")
    assert [r["value"] for r in said.records] == [None, True, True, True, False]


def test_eval_of_a_category_is_its_word_or_null(rotation, tmp_path):
    closes = [100, 101, 99, 102, 98, 103, 99]
    days = [f"2026-01-{day:02}" for day in (5, 6, 7, 8, 9, 12, 13)]
    rows = [f"{d},IWM,{c}\n{d},SPY,100" for d, c in zip(days, closes, strict=True)]
    (tmp_path / "closes.csv").write_text("\n".join(["ts,symbol,close", *rows]))
    words = ("eval", "quadrant(IWM, SPY, 3d)", "--data", tmp_path / "closes.csv")
    values = [r["value"] for r in rotation(*words, "--format", "json").records]
    assert values[0] is None
    assert values[-2:] == ["leading", "lagging"]
    assert rotation(*words).out.split()[-1] == "lagging"


def test_eval_of_bars_is_at_every_end_and_starts_from_daily_closes(rotation, bars, daily):
    words = ("eval", "excess(IWM, SPY, 1d)", "--data", bars, daily, "--format", "json")
    said = rotation(*words)
    assert [r["ts"] for r in said.records][:2] == ["2026-01-05T14:35:00Z", "2026-01-05T14:40:00Z"]
    assert [r["value"] for r in said.records] == pytest.approx([0.0, 0.005, 0.03, 0.03, 0.03, 0.03])
    every = rotation(*words, "--every", "10m")
    assert [r["ts"] for r in every.records] == [f"2026-01-05T14:{minute}:00Z" for minute in (40, 50)] + [
        "2026-01-05T15:00:00Z"
    ]
    at = rotation(*words, "--at", "2026-01-05 09:46 America/New_York")
    assert at.records == [{"ts": "2026-01-05T14:46:00Z", "value": pytest.approx(0.03)}]


def test_the_option_may_be_said_again_or_take_several(rotation, bars, daily):
    together = rotation("eval", "--data", bars, daily, "excess(IWM, SPY, 1d)")
    apart = rotation("eval", "--data", bars, "excess(IWM, SPY, 1d)", "--data", daily)
    assert together.code == apart.code == 0
    assert together.out == apart.out != ""


def test_names_of_rule_files(rotation, daily, tmp_path):
    (tmp_path / "names.yaml").write_text("aliases: {small: IWM}\nuniverses: {all: [IWM, SPY]}\n")
    said = rotation(
        "eval", "rank(small, all, ret(it, 1d))", "--rules", "names.yaml", "--data", daily, "--at", "2026-01-06"
    )
    assert said.out.splitlines()[1].split()[-1] == "1"


def test_a_wrong_expression_has_a_caret(rotation, daily):
    said = rotation("eval", "ret(IWM, 1d) > 400", "--data", daily)
    assert said.code == 2
    assert said.out == ""
    assert said.err.splitlines()[1:3] == ["ret(IWM, 1d) > 400", "               ^"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval", "1", "--data", "nothing.csv"], "nothing.csv: No such file or directory"),
        (["eval", "1", "--data", "bad.csv"], "bad.csv: row 2: close 'x' is no number"),
        (["eval", "1", "--data", "holiday.csv"], "holiday.csv: row 1: 2026-01-01 is no session of XNYS"),
        (["eval", "1", "--data", "daily.csv", "copy.csv"], "IWM of 2026-01-02 is in daily.csv and in copy.csv"),
        (
            ["eval", "1", "--data", "daily.csv", "--at", "2026-01-03"],
            "no session of XNYS: the one before is 2026-01-02",
        ),
        (["eval", "1", "--data", "daily.csv", "--at", "noon"], "--at noon: no time"),
        (["eval", "1", "--data", "daily.csv", "--at", "2026-01-05", "--from", "2026-01-02"], "--at is one moment"),
        (["eval", "1", "--data", "daily.csv", "--every", "sometimes"], "--every `sometimes` is no duration"),
        (["eval", "1", "--data", "daily.csv", "--calendar", "XXXX"], "there is no calendar"),
        (["eval", "1", "--rules", "nothing.yaml", "--data", "daily.csv"], "nothing.yaml: no such file"),
        (["eval", "1"], "Missing option '--data'"),
        (["backtest", "--data", "daily.csv"], "Missing option '--rules'"),
        (
            ["backtest", "--rules", "rules.yaml", "--data", "daily.csv", "--history", "bars.csv"],
            "history is session bars",
        ),
    ],
)
def test_wrong_use_is_one_line(rotation, daily, bars, rules, tmp_path, words, expected):
    (tmp_path / "copy.csv").write_text(daily.read_text())
    (tmp_path / "bad.csv").write_text("ts,symbol,close\n2026-01-02,IWM,1\n2026-01-05,IWM,x\n")
    (tmp_path / "holiday.csv").write_text("ts,symbol,close\n2026-01-01,IWM,1\n")
    said = rotation(*words)
    assert (said.code, said.out) == (2, "")
    assert expected in said.err
    assert len(said.err.splitlines()) == 1


def test_an_instrument_without_data_is_said(rotation, daily):
    said = rotation("eval", "ret(QQQ, 1d)", "--data", daily, "--format", "json")
    assert said.code == 0
    assert said.err == "warning: no data of QQQ: what needs them is unknown\n"


def test_a_refused_row_is_said(rotation, tmp_path):
    rows = ["2026-01-05T15:00:00Z,IWM,10,9", "2026-01-05T15:00:01Z,IWM,10,11"]
    (tmp_path / "quotes.csv").write_text("\n".join(["ts,symbol,bid,ask", *rows]))
    said = rotation("eval", "price(IWM)", "--data", "quotes.csv", "--format", "json")
    assert said.records == [{"ts": "2026-01-05T15:00:01Z", "value": 10.5}]
    assert said.err.startswith("warning: 1 rows refused: crossed, such as symbol IWM, bid 10.0, ask 9.0")


def test_a_rule_that_waits_fires_at_the_next_close(rotation, daily, rules):
    said = rotation("backtest", "--rules", rules, "--data", daily, "--format", "json")
    assert (said.code, said.err) == (0, "")
    seen = [(r["ts"][:10], r["from"], r["to"]) for r in said.records]
    assert seen == [
        ("2026-01-05", "inactive", "pending"),
        ("2026-01-06", "pending", "firing"),
        ("2026-01-08", "firing", "resolved"),
    ]
    fired = said.records[1]
    assert {"ts", "alert", "member", "from", "to", "episode", "value", "evidence", "labels", "severity"} <= set(fired)
    assert (fired["alert"], fired["member"], fired["severity"], fired["labels"]) == (
        "ahead",
        "",
        "critical",
        {"desk": "a"},
    )
    assert fired["episode"] == said.records[2]["episode"] != ""
    assert fired["evidence"]["prices"]["IWM"]["price"] == 104.04


def test_the_table_ends_with_how_each_rule_did(rotation, daily, rules):
    said = rotation("backtest", "--rules", rules, "--data", daily)
    assert said.out.splitlines()[-2].split()[0] == "rule"
    figures = ["ahead", "1", "0", "2.0", "sessions", "2.0", "sessions", "0", "1.00", "\N{EN DASH}", "\N{EN DASH}"]
    assert said.out.splitlines()[-1].split() == figures


def test_backtest_of_bars_with_history(rotation, bars, daily, rules):
    said = rotation("backtest", "--rules", rules, "--data", bars, "--history", daily, "--format", "json")
    assert [(r["ts"][11:16], r["to"]) for r in said.records] == [("14:45", "pending"), ("14:55", "firing")]
    assert said.records[1]["value"] == pytest.approx(0.03)
