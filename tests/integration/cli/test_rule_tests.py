"""``rotation test``: the timelines a user writes, what is said about those that fail, and the tests of the library."""

from __future__ import annotations

from pathlib import Path

import pytest

import rules as rules_package

LIBRARY = Path(rules_package.__file__).with_name("library")
RULES = """
aliases: {small_caps: IWM}
universes: {sectors: [XLB, XLE, XLK]}
groups:
  - name: size
    rules:
      - record: size_lead
        value: excess(small_caps, SPY, 1d)
      - alert: small-caps-lead
        when: size_lead > 400bp
        until: size_lead < 300bp
        for: 10m
        severity: warning
        labels: {desk: equities}
        annotations: {summary: "Small caps lead by {{ value | bp }}", runbook: "see {{ episode }}"}
      - alert: sector-leads
        each: sectors
        when: ret(it, 1d) > 2%
        keep_firing_for: 10m
"""
HEAD = """
rules: [rules.yaml]
tests:
  - name: a lead
    start: 2026-01-02 09:30 America/New_York
    every: 5m
"""
CONTRACT = (
    HEAD
    + """
    history: {IWM: 240x20, SPY: 680x20}          # earlier session closes, oldest first
    prices:                                       # one value per step: literals, NxK repeats, A..BxK ramps
      IWM: 240 252x4 246x3
      SPY: 680x8
    expect:
      - {at: 20m, alert: small-caps-lead, state: firing, value: 500bp}
      - {at: 25m, alert: small-caps-lead, state: resolved}
"""
)


@pytest.fixture
def run(rotation, tmp_path):
    """Runs a test file with the rules above."""
    (tmp_path / "rules.yaml").write_text(RULES)

    def run(text, *words):
        (tmp_path / "a.test.yaml").write_text(text)
        return rotation("test", "a.test.yaml", *words)

    return run


def expecting(*expectations, **keys):
    """The test of the contract with other expectations and more keys."""
    lines = [
        *(f"    {key}: {value}" for key, value in keys.items()),
        "    expect:",
        *(f"      - {e}" for e in expectations),
    ]
    return CONTRACT[: CONTRACT.index("    expect:")] + "\n".join(lines)


def test_the_example_of_the_contract(run):
    said = run(CONTRACT)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == ["pass  a.test.yaml: a lead", "1 test: 1 passed, 0 failed"]


@pytest.mark.parametrize(
    "expectation",
    [
        "{at: 0, alert: small-caps-lead, state: inactive, value: 0bp}",
        "{at: 5m, alert: small-caps-lead, state: pending}",
        "{at: 10m, alert: small-caps-lead, state: pending}",
        "{at: 15m, alert: small-caps-lead, state: firing}",  # 5m, 10m, 15m: ten minutes are over at the third step
        "{at: 2026-01-02 09:45 America/New_York, alert: small-caps-lead, state: firing}",
        "{at: 15m, alert: small-caps-lead, state: firing, labels: {desk: equities, severity: warning}}",
        "{at: 15m, alert: small-caps-lead, summary: Small caps lead by 500bp}",
        "{at: 15m, alert: small-caps-lead, annotations: {runbook: see small-caps-lead@2026-01-02.1}}",
        "{at: 25m, alert: small-caps-lead, state: inactive, value: 250bp, summary: Small caps lead by 250bp}",
        "{at: 35m, alert: small-caps-lead, state: resolved}",
        "{at: 15m, record: size_lead, value: 5.00%}",
        "{at: 15m, eval: 'ret(small_caps, 1d) > 5.1%', value: false}",
        "{at: 55m, record: size_lead, value: unknown}",  # older than 15 minutes is stale
        "{at: 1d, record: size_lead, value: unknown}",
        "{at: 10m, firing: []}",
        "{at: 15m, firing: [small-caps-lead]}",
        "{at: 15m, alert: sector-leads, state: inactive}",
    ],
)
def test_what_can_be_expected(run, expectation):
    said = run(expecting(expectation))
    assert (said.code, said.err) == (0, ""), said


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("{at: 10m, alert: small-caps-lead, state: firing}", "small-caps-lead: expected firing; found pending"),
        ("{at: 20m, alert: small-caps-lead, state: resolved}", "expected resolved; found firing"),
        ("{at: 0, alert: small-caps-lead, state: resolved}", "expected resolved; found inactive, and has not fired"),
        ("{at: 20m, alert: small-caps-lead, value: 499bp}", "expected value 499bp; found value 500.00bp"),
        ("{at: 20m, alert: small-caps-lead, value: unknown}", "expected value unknown; found value 500bp"),
        ("{at: 20m, alert: small-caps-lead, labels: {desk: fx}}", "label desk `fx`; found label desk `equities`"),
        ("{at: 20m, alert: small-caps-lead, labels: {who: me}}", "expected label who `me`; found no label who"),
        ("{at: 20m, alert: small-caps-lead, summary: up}", "summary `up`; found summary `Small caps lead by 500bp`"),
        ("{at: 10m, alert: small-caps-lead, summary: up}", "expected summary `up`; found nothing told so far"),
        ("{at: 20m, record: size_lead, value: 4%}", "size_lead: expected 4%; found 5.00%"),
        ("{at: 20m, eval: 'ret(IWM, 1d) > 5.1%', value: true}", "ret(IWM, 1d) > 5.1%: expected true; found false"),
        ("{at: 20m, firing: []}", "small-caps-lead: expected not firing; found firing"),
        ("{at: 20m, firing: ['sector-leads:XLE', small-caps-lead]}", "[XLE]: expected firing; found inactive"),
    ],
)  # fmt: skip
def test_what_is_said_when_it_is_otherwise(run, expectation, message):
    said = run(expecting(expectation))
    assert said.code == 1
    assert said.err == ""
    line = next(line for line in said.out.splitlines() if ": error: " in line)
    assert line.startswith("a.test.yaml:13:9: error: 2026-01-02 09:")
    assert message in line


def test_a_failure_shows_its_place_the_comparison_the_values_and_how_it_came(run):
    said = run(expecting("{at: 10m, alert: small-caps-lead, state: firing}"))
    assert said.out.splitlines() == [
        "FAIL  a.test.yaml: a lead",
        "",
        "a.test.yaml:13:9: error: 2026-01-02 09:40:00 EST: small-caps-lead: expected firing; found pending",
        "      - {at: 10m, alert: small-caps-lead, state: firing}",
        "        ^",
        "  size_lead = 500bp (> 400bp)",
        "  pending for 5m of 10m",
        "    size_lead > 400bp = true",
        "    size_lead = 500bp",
        "    IWM 252.00",
        "    SPY 680.00",
        "  2026-01-02 09:30:00 EST  inactive         0bp",
        "  2026-01-02 09:35:00 EST  pending        500bp",
        "  2026-01-02 09:40:00 EST  pending        500bp",
        "",
        "1 test: 0 passed, 1 failed",
    ]


def test_a_missing_price_is_named(run):
    said = run(expecting("{at: 55m, alert: small-caps-lead, value: 500bp}"))
    assert "  no price of IWM, SPY" in said.out.splitlines()


def test_only_refuses_what_else_fires(run):
    kept = "{at: 25m, alert: small-caps-lead, state: resolved}"
    assert run(expecting(kept, only="true")).code == 0
    said = run(expecting("{at: 0, alert: small-caps-lead, state: inactive}", only="true"))
    assert said.code == 1
    assert "09:45:00 EST: small-caps-lead: expected not firing (`only`); found firing" in said.out


def test_members_recover_and_flap(run):
    said = run(
        HEAD
        + """
    history: {sectors: 100x2}
    prices: {sectors: 100x8, XLE: 100 103 100 103 100x4}
    expect:
      - {at: 5m, alert: sector-leads, member: XLE, state: firing}
      - {at: 10m, alert: sector-leads, member: XLE, state: recovering}
      - {at: 10m, firing: ["sector-leads:XLE"]}
      - {at: 15m, alert: sector-leads, member: XLE, state: firing, value: 3%}
      - {at: 25m, alert: sector-leads, member: XLE, state: recovering}
      - {at: 30m, alert: sector-leads, member: XLE, state: resolved}
      - {at: 30m, alert: sector-leads, member: XLB, state: inactive}
"""
    )
    assert said.code == 0, said.out


def test_sessions_quotes_volumes_and_series(run):
    said = run(
        """
rules: rules.yaml
tests:
  - name: a step is a close
    start: 2026-01-02
    every: 1d
    history: {IWM: 100, discount: 25}
    volume_history: {IWM: 500}
    prices: {IWM: 101 102 _ 104}
    volumes: {IWM: 1000 2000 _ 3000}
    quotes: {SPY: {bid: 599x2, ask: 601x2}}
    series: {discount: _ 27}
    expect:
      - {at: 1d, eval: "ret(IWM, 2d)", value: 2.0%}
      - {at: 1d, eval: "streak(ret(IWM, 1d) > 0.5%)", value: 2}
      - {at: 2026-01-05, eval: price(SPY), value: 600}
      - {at: 2d, eval: price(IWM), value: unknown}
      - {at: 3d, eval: price(IWM), value: 104}
      - {at: 1d, eval: "volume(IWM, 2d)", value: 3000}
      - {at: 0, eval: value(discount), value: 25}
      - {at: 3d, eval: value(discount), value: 27}
"""
    )
    assert said.code == 0, said.out + said.err


def test_steps_of_an_hour_keep_prices_known_between_them(run):
    said = run(
        HEAD.replace("5m", "1h")
        + """
    history: {IWM: 240, SPY: 680}
    prices: {IWM: 252x3, SPY: 680x3}
    expect:
      - {at: 1h, alert: small-caps-lead, state: firing}
      - {at: 4h, record: size_lead, value: 500bp}
"""
    )
    assert said.code == 0, said.out


def test_json_is_one_line_a_test(run):
    said = run(expecting("{at: 10m, alert: small-caps-lead, state: firing}"), "--format", "json")
    assert said.code == 1
    (record,) = said.records
    assert (record["file"], record["line"], record["test"], record["passed"]) == ("a.test.yaml", 4, "a lead", False)
    (failure,) = record["failures"]
    assert (failure["line"], failure["column"], failure["ts"]) == (13, 9, "2026-01-02T14:40:00Z")
    assert (failure["subject"], failure["expected"], failure["found"]) == ("small-caps-lead", "firing", "pending")
    assert failure["evidence"]["threshold"]["value"] == pytest.approx(0.05)
    assert [tick["state"] for tick in failure["timeline"]] == ["inactive", "pending", "pending"]


def test_a_wrong_file_is_said_at_its_place_and_nothing_is_run(run, rotation):
    said = run(expecting("{at: 22m, alert: small-caps-leed, state: firing}"))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("a.test.yaml:13:26: error: no alert is named `small-caps-leed`: did you mean")
    said = rotation("test", "a.test.yaml", "--format", "json")
    assert (said.code, said.err) == (2, "")
    assert said.records[0]["severity"] == "error"


def test_a_folder_of_rules_may_hold_their_tests(run, rotation):
    run(CONTRACT.replace("[rules.yaml]", "."))
    assert rotation("test", "a.test.yaml").code == 0


def test_folders_hold_test_files(run, rotation, tmp_path):
    run(CONTRACT)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.test.yml").write_text(CONTRACT.replace("[rules.yaml]", "[../../rules.yaml]"))
    assert rotation("test", ".").out.splitlines()[-1] == "2 tests: 2 passed, 0 failed"
    assert rotation("test", "a.test.yaml", "a.test.yaml").out.splitlines()[-1] == "1 test: 1 passed, 0 failed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.yaml"], "error: nothing.yaml: no such file or folder"),
        (["empty"], "error: empty: no *.test.yaml or *.test.yml in this folder"),
        (["calendar.yaml"], "calendar.yaml: "),
    ],
)
def test_wrong_use(run, rotation, tmp_path, words, message):
    run(CONTRACT)
    (tmp_path / "empty").mkdir()
    (tmp_path / "calendar.yaml").write_text("calendar: XMOON\n" + CONTRACT)
    said = rotation("test", *words)
    assert said.code == 2
    assert message in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("file", sorted((LIBRARY / "tests").glob("*.test.yaml")), ids=lambda f: f.name)
def test_the_library_does_what_its_tests_say(rotation, file):
    said = rotation("test", file)
    assert said.code == 0, said.out + said.err


def test_schema_of_tests(rotation):
    said = rotation("schema", "tests")
    assert said.code == 0
    assert '"Tests of rules of Rotation Monitor"' in said.out
