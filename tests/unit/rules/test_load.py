from __future__ import annotations

from pathlib import Path

import pytest

import rules
from rules.ast import Basket, Instrument, RecordRef, Sessions, Type, Universe
from rules.diagnostics import Level
from rules.load import FormulaError, load_rules, load_texts, parse_expression
from rules.ruleset import AlertRule, Hours, NoData, OnClose, RuleSet, Severity, Source

LIBRARY = Path(rules.__file__).with_name("library")
MINUTE = 60_000_000_000

SIZE = """\
version: 1
aliases: {small_caps: IWM, large_caps: SPY}
baskets:
  mag7: [MSFT, AAPL]
  memory: {weights: {TSM: 60%, MU: 0.4}}
universes:
  sectors: [XLE, XLB, memory, small_caps]
  megacaps: mag7
  same: megacaps
groups:
  - name: size
    labels: {theme: size, desk: all}
    for: 10m
    rules:
      - record: lead
        value: ret(small_caps, ytd) - ret(large_caps, ytd)
      - alert: small-caps-lead
        when: lead > 400bp
        until: lead < 300bp
        value: lead
        for: 0
        keep_firing_for: 2h
        severity: critical
        labels: {desk: equities}
        annotations: {summary: "{{ value | bp }} ahead"}
        hours: extended
        on_close: resolve
        no_data: alert
        no_data_for: 30s
        notify: [desk, mail]
        repeat: [15m, next_open]
      - {alert: each-sector, each: sectors, when: "ret(it, 1d) < -150bp"}
"""


def rules_of(*texts: str) -> RuleSet:
    result = load_texts({f"{n}.yaml": text for n, text in enumerate(texts)})
    assert result.diagnostics == []
    assert result.ruleset is not None
    return result.ruleset


def alert(text: str) -> AlertRule:
    (found,) = rules_of(f"groups: [{{name: g, rules: [{{alert: a, {text}}}]}}]").alerts
    return found


def messages(*texts: str) -> list[str]:
    result = load_texts({f"{n}.yaml": text for n, text in enumerate(texts)})
    assert result.ruleset is None
    return [f"{d.file}:{d.line}: {d.message}" for d in result.diagnostics]


def test_everything_a_file_can_say() -> None:
    found = rules_of(SIZE)
    assert found.aliases == {"small_caps": Instrument("IWM"), "large_caps": Instrument("SPY")}
    assert found.baskets["mag7"] == Basket("mag7", (("AAPL", 0.5), ("MSFT", 0.5)))
    assert found.baskets["memory"].weights == (("MU", 0.4), ("TSM", 0.6))
    assert found.universes["sectors"].members == (
        Instrument("IWM"),
        Instrument("XLB"),
        Instrument("XLE"),
        found.baskets["memory"],
    )
    assert found.universes["same"] == Universe("", (Instrument("AAPL"), Instrument("MSFT")))
    (record,) = found.records
    assert (record.name, record.labels, record.group) == ("lead", {"theme": "size", "desk": "all"}, "size")
    first, second = found.alerts
    assert first.when.text == "lead > 400bp"
    assert first.until is not None
    assert first.value is not None
    assert isinstance(first.value.expr, RecordRef)
    assert (first.for_ns, first.keep_firing_for_ns, first.no_data_for_ns) == (0, 120 * MINUTE, MINUTE // 2)
    assert first.severity is Severity.CRITICAL
    assert first.labels == {"theme": "size", "desk": "equities"}
    assert first.annotations == {"summary": "{{ value | bp }} ahead"}
    assert (first.hours, first.on_close, first.no_data) == (Hours.EXTENDED, OnClose.RESOLVE, NoData.ALERT)
    assert (first.notify, first.repeat) == (("desk", "mail"), ("15m", "next_open"))
    assert first.source == Source("0.yaml", 17)
    assert second.each == found.universes["sectors"]
    assert second.for_ns == 10 * MINUTE


def test_defaults() -> None:
    rule = alert("when: 'ret(IWM, 1d) > 1%'")
    assert (rule.for_ns, rule.keep_firing_for_ns) == (0, 0)
    assert (rule.severity, rule.hours, rule.no_data) == (Severity.WARNING, Hours.REGULAR, NoData.KEEP)
    assert (rule.until, rule.value, rule.each, rule.notify, rule.repeat) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "on_close"),
    [
        ("when: 'ret(IWM, 14d) > 1%'", OnClose.FREEZE),
        ("when: 'ret(IWM, 30m) > 1%'", OnClose.RESET),
        ("when: 'ret(IWM, 14d) > 1%', until: 'ret(IWM, 30m) < 0'", OnClose.RESET),
        ("when: 'ret(IWM, 30m) > 1%', on_close: freeze", OnClose.FREEZE),
        ("when: 'price(IWM) > 100'", OnClose.FREEZE),
    ],
)
def test_the_close_freezes_sessions_and_resets_clock_windows(text: str, on_close: OnClose) -> None:
    assert alert(text).on_close is on_close


def test_a_repeat_is_read() -> None:
    (rule,) = rules_of("groups: [{name: g, rules: [{alert: a, when: price(IWM) > 1, repeat: [1h, next_open]}]}]").alerts
    assert rule.repeat == ("1h", "next_open")


def test_a_group_gives_defaults_that_a_rule_overrides() -> None:
    first, second = rules_of("""
groups:
  - name: g
    severity: critical
    hours: always
    keep_firing_for: 5m
    repeat: 1h
    notify: desk
    annotations: {summary: both, link: x}
    rules:
      - {alert: a, when: "ret(IWM, 14d) > 0"}
      - {alert: b, when: "ret(IWM, 14d) > 0", severity: info, annotations: {summary: own}, repeat: [next_open]}
""").alerts
    assert (first.severity, first.hours, first.keep_firing_for_ns) == (Severity.CRITICAL, Hours.ALWAYS, 5 * MINUTE)
    assert (first.notify, first.repeat) == (("desk",), ("1h",))
    assert second.severity is Severity.INFO
    assert second.annotations == {"summary": "own", "link": "x"}
    assert second.repeat == ("next_open",)


def test_disabled_rules_are_left_out_but_can_be_used() -> None:
    found = rules_of("""
groups:
  - name: g
    rules:
      - {record: off, value: "ret(IWM, 1d)", enabled: no}
      - {alert: a, when: off > 0, enabled: false}
      - {alert: b, when: off > 0}
  - name: all-off
    enabled: off
    rules:
      - {alert: c, when: "ret(IWM, 1d) > 0"}
      - {alert: d, when: "ret(IWM, 1d) > 0", enabled: on}
""")
    assert [a.name for a in found.alerts] == ["b", "d"]
    assert found.records == ()


def test_scalars_are_read_as_what_their_field_expects() -> None:
    found = rules_of("""
aliases: {power: ON, nothing: 'null', year: '2025'}
groups:
  - name: on
    labels: {flag: yes, time: 1:30, day: 2025-12-31, number: 1.50}
    rules:
      - {alert: no, when: "ret(power, 1d) > 0"}
      - {alert: 2025-12-31, when: "ret(NO, 1d) > 0"}
      - {alert: true, when: "ret(year, 1d) > 0"}
""")
    assert [a.name for a in found.alerts] == ["no", "2025-12-31", "true"]
    assert found.alerts[0].labels == {"flag": "yes", "time": "1:30", "day": "2025-12-31", "number": "1.50"}
    assert found.aliases["power"] == Instrument("ON")
    assert found.aliases["year"] == Instrument("2025")


def test_names_of_one_file_are_used_in_another_in_any_order() -> None:
    rules_text = "groups: [{name: g, rules: [{alert: a, when: lead > 0}, {record: lead, value: 'ret(small, 1d)'}]}]"
    found = rules_of(rules_text, "aliases: {small: IWM}")
    assert found.files == ("0.yaml", "1.yaml")
    assert found.alerts[0].when.expr.type is Type.CONDITION


def test_all_errors_of_all_files_in_their_order() -> None:
    wrong = "aliasses: {}\ngroups: [{name: g%d, rules: [{alert: a%d, when: 'ret(spy, 1d) > 4'}]}]\n"
    assert messages(wrong % (1, 1), "a: [", wrong % (2, 2)) == [
        "0.yaml:1: unknown key `aliasses`: did you mean `aliases`?",
        "0.yaml:2: unknown name `spy`",
        "1.yaml:1: no YAML: in a flow node: expected node content here",
        "2.yaml:1: unknown key `aliasses`: did you mean `aliases`?",
        "2.yaml:2: unknown name `spy`",
    ]


def test_quoted_in_yaml_is_a_symbol() -> None:
    found = rules_of("universes: {pairs: ['btcusdt', \"ethusdt\", BTC/USD, ^RUT, BRK.B]}")
    assert {m.symbol for m in found.universes["pairs"].members if isinstance(m, Instrument)} == {
        "btcusdt",
        "ethusdt",
        "BTC/USD",
        "^RUT",
        "BRK.B",
    }


def test_weights_of_thirds_are_scaled_to_one() -> None:
    basket = rules_of("baskets: {b: {weights: {A: 0.333, B: 0.333, C: 0.333}}}").baskets["b"]
    assert sum(weight for _, weight in basket.weights) == pytest.approx(1, abs=1e-15)


def test_order_and_spelling_of_members_do_not_change_a_rule() -> None:
    text = "baskets: {{b: {}}}\nuniverses: {{u: {}}}\ngroups: [{{name: g, rules: [{{alert: a, each: u, when: '{}'}}]}}]"
    (one,) = rules_of(text.format("[A, B]", "[X, Y]", "ret(b, 2w) > 4%")).alerts
    (other,) = rules_of(text.format("{weights: {B: 50%, A: 50%}}", "[Y, X]", "ret(b,10d)>400bp")).alerts
    assert one.logic == other.logic


def test_a_multi_line_condition_is_kept_as_written() -> None:
    (rule,) = rules_of(
        "groups:\n- name: g\n  rules:\n  - alert: a\n    when: |\n      ret(IWM, 1d) > 0\n      and ret(SPY, 1d) > 0\n"
    ).alerts
    assert rule.when.text == "ret(IWM, 1d) > 0\nand ret(SPY, 1d) > 0"


def test_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "rules.d"
    (folder / "below").mkdir(parents=True)
    (folder / "b.yml").write_text("aliases: {b: B}")
    (folder / "a.yaml").write_text("aliases: {a: A}")
    (folder / ".hidden.yaml").write_text("aliases: {")
    (folder / "notes.txt").write_text("aliases: {")
    (folder / "below" / "c.yaml").write_text("aliases: {")
    single = tmp_path / "single.yaml"
    single.write_text("aliases: {c: C}")
    result = load_rules([str(folder), single, folder / "a.yaml"])
    assert result.diagnostics == []
    assert result.ruleset is not None
    assert [Path(f).name for f in result.ruleset.files] == ["a.yaml", "b.yml", "single.yaml"]


def test_links_that_lead_nowhere_are_errors(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / ".#lock.yaml").symlink_to("of-an-editor")
    result = load_rules([tmp_path])
    assert result.ruleset is None
    assert [Path(d.file).name for d in result.diagnostics] == ["gone.yaml", "loop.yaml"]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = load_rules([tmp_path / "none.yaml"])
    assert result.ruleset is None
    assert [d.message for d in result.diagnostics] == ["cannot be read: No such file or directory"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_a_file_without_content_is_a_warning(text: str) -> None:
    result = load_texts({"a.yaml": text})
    assert result.ruleset is not None
    assert [(d.severity, d.message) for d in result.diagnostics] == [(Level.WARNING, "this file defines nothing")]


def test_a_wrong_record_is_told_once() -> None:
    rules_text = "[{record: r, value: 'ret(spy, 1d)'}, {record: s, value: 2 * r}, {alert: a, when: s > 0}]"
    assert messages(f"groups: [{{name: g, rules: {rules_text}}}]") == ["0.yaml:1: unknown name `spy`"]


def test_long_chains_of_records_and_universes() -> None:
    chain = "\n".join(f"      - {{record: r{n}, value: r{n + 1}}}" for n in range(5_000))
    text = f"groups:\n  - name: g\n    rules:\n{chain}\n      - {{record: r5000, value: 'ret(IWM, 1d)'}}\n"
    assert "with its records written out" in messages(text)[0]
    universes = "".join(f"  u{n}: u{n + 1}\n" for n in range(2_000))
    found = rules_of(f"universes:\n{universes}  u2000: [A]\n")
    assert found.universes["u0"].members == (Instrument("A"),)


def test_an_expression_by_itself() -> None:
    found = rules_of(SIZE)
    formula = parse_expression("ret(small_caps, 14d) + lead", found)
    assert formula.text == "ret(small_caps, 14d) + lead"
    assert formula.expr.type is Type.RATIO
    with pytest.raises(FormulaError) as caught:
        parse_expression("ret(small_cap, 14d)\n + 4", found)
    assert [(d.file, d.line, d.column) for d in caught.value.diagnostics] == [("<expression>", 1, 5)]
    assert "did you mean `small_caps`?" in str(caught.value)


def test_a_template_is_not_run_when_it_is_checked() -> None:
    endless = "{% for i in range(10 ** 12) %}{% endfor %} {{ 9 ** 9 ** 9 }} {{ 'x' * 10 }}"
    text = f'groups: [{{name: g, rules: [{{alert: a, when: price(A) > 1, annotations: {{summary: "{endless}"}}}}]}}]'
    assert messages(text) == [
        "0.yaml:1: range() cannot be called in messages",
        "0.yaml:1: `**` is not available in messages",
    ]


def test_the_library_is_without_fault() -> None:
    result = load_rules([LIBRARY])
    assert result.diagnostics == []
    assert result.ruleset is not None
    assert all(rule.annotations.get("summary") for rule in result.ruleset.alerts)
    assert Sessions(14) in {arg for rule in result.ruleset.records for arg in getattr(rule.value.expr, "args", ())}
