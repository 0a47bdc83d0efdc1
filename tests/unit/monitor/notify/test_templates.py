from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.notify.templates import TemplateError, check, render
from tests.unit.monitor.notify.samples import AT

NAMES = {
    "value": 0.0412,
    "labels": {"desk": "equities"},
    "evidence": {
        "expressions": [{"expr": "ret(IWM, 1d)", "value": 0.01}, {"expr": "ret(SPY, 1d)", "value": 0.02}],
        "prices": {"IWM": {"price": 252.1, "ts": AT - 5_000_000_000}},
        "threshold": None,
    },
    "at": AT,
    "started": AT - 600_000_000_000,
    "episode": "e-1",
    "alert": "lead",
    "member": "",
    "state": "firing",
    "severity": "warning",
    "reason": "condition met",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Small caps lead by {{ value | bp }} over 14 sessions", "Small caps lead by 412bp over 14 sessions"),
        ("{{ value | pct }} {{ value|pct(1) }}", "4.12% 4.1%"),
        ("{{ evidence.prices.IWM.price | px }} {{ evidence.prices['IWM'].ts | ago }}", "252.10 5s ago"),
        ("{{ at | local }}, since {{ started | local('%H:%M') }}", "2026-01-23 10:07:30 EST, since 09:57"),
        ("{{ labels.desk }} {{ labels['desk'] | upper }}", "equities EQUITIES"),
        ("{{ labels.theme | default('none') }}", "none"),
        ("{% if value > 4 / 100 %}big{% else %}small{% endif %}", "big"),
        ("{{ member or 'all' }} {{ alert ~ '!' }} {{ value * 100 }}", "all lead! 4.12"),
        (
            "{% for e in evidence.expressions %}{{ e.expr }}={{ e.value | bp }} {% endfor %}",
            "ret(IWM, 1d)=100bp ret(SPY, 1d)=200bp ",
        ),
        ("{% for s, p in evidence.prices.items() %}{{ loop.index }}{{ s }}{% endfor %}", "1IWM"),
        ("{{ episode }} {{ state }} {{ severity }} {{ reason }}", "e-1 firing warning condition met"),
        ("100 % sure, {'x'}", "100 % sure, {'x'}"),
    ],
)
def test_templates_render(text, shown):
    assert check(text) is None
    assert render(text, NAMES) == shown


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ valeu | bp }}", "no such name: valeu; there are value, labels"),
        ("{{ value | bps }}", "no filter named bps; there are abs, ago, bp"),
        ("a\n{{ value | bp ", "line 2: unexpected end of template"),
        ("{{ range(1000000000) }}", "range() cannot be called in messages"),
        ("{% for i in range(999999999) %}{% endfor %}", "range() cannot be called"),
        ("{% for a in labels %}{% for b in labels %}{% endfor %}{% endfor %}", "a loop in a loop is not available"),
        ("{% for a in labels recursive %}{{ loop(a) }}{% endfor %}", "not available in messages"),
        ("{% set x = 1 %}", "`set` is not available"),
        ("{% macro f() %}{% endmacro %}", "`macro` is not available"),
        ("{% include '/etc/passwd' %}", "`include` is not available"),
        ("{{ 9 ** 9 ** 9 }}", "`**` is not available"),
        ("{{ 'x'.ljust(1000000000) }}", "cannot be called in messages"),
        ("{{ '%s' | format(1) }}", "no filter named format"),
        ("{{ " + "-" * 3_000 + "1 }}", "nested too deeply"),
        ("{{ " + "(" * 1_900 + "1" + ")" * 1_900 + " }}", "nested too deeply"),
        ("x" * 5_000, "5,000 characters long"),
        ("{{ value is foo }}", "no test named foo"),
        ("{{ lipsum() }}", "cannot be called"),
        ("{{ cycler.__init__.__globals__ }}", "no such name: cycler"),
    ],
)
def test_what_a_rule_may_not_use_is_refused_when_it_is_loaded(text, error):
    assert error in (check(text) or "")
    with pytest.raises(TemplateError) as caught:
        render(text, NAMES)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ labels.theme }}", "no attribute 'theme'"),
        ("{{ labels.theme | bp }}", "no attribute 'theme'"),
        ("{{ labels.theme + 1 }}", "no attribute 'theme'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'x' * 10000000000 }}", "`*` works on numbers"),
        ("{{ '%1000000000d' % 1 }}", "`%` works on numbers"),
        ("{{ value + 'bp' }}", "`+` works on numbers, not on str; join texts with `~`"),
        ("{{ labels | ago }}", "is not a time"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 'abc'" + "| join('0123456789')" * 8 + " }}", "longer than 10,000 characters"),
        ("{{ evidence.threshold.expr }}", "None"),
    ],
)
def test_what_fails_on_the_values_at_hand_says_so(text, error):
    assert check(text) is None
    with pytest.raises(TemplateError) as caught:
        render(text, NAMES)
    assert error in str(caught.value)


def test_the_text_is_cut_off():
    assert render("x" * 400, NAMES, limit=10) == "xxxxxxxxx…"


def test_work_without_output_is_bounded():
    many = {"evidence": {"expressions": [{"expr": "e", "value": 1.0}] * 2_000_000, "prices": {}}}
    began = time.perf_counter()
    with pytest.raises(TemplateError, match="20,000 steps"):
        render("{% for e in evidence.expressions %}{% if e.value < 0 %}x{% endif %}{% endfor %}", {**NAMES, **many})
    assert time.perf_counter() - began < 2


@settings(max_examples=200)
@given(st.text(alphabet="{}%|()[]'.~+-*/ vae10bpxforin\n", max_size=60))
def test_no_template_raises_anything_but_its_own_error(text):
    for source in (text, "{{ " + text + " }}", "{% " + text + " %}"):
        error = check(source)
        try:
            render(source, NAMES)
        except TemplateError:
            continue
        assert error is None


@pytest.mark.parametrize(
    "work",
    [
        "{% for c in evidence | string ~ evidence | string %}{% if WORK %}{% endif %}{% endfor %}",
        "{% for c in labels.long %}{% if WORK %}{% endif %}{% endfor %}",
        "{% for c in labels.long %}{% else %}{% endfor %}{% for c in labels.long %}{{ '' }}{% endfor %}",
    ],
)
def test_a_loop_that_shows_nothing_is_too_much_work_all_the_same(work: str):
    names = {"labels": {"long": "x" * 200_000}, "evidence": {"expressions": ["x" * 500_000]}}
    started = time.perf_counter()
    with pytest.raises(TemplateError, match="more than 20,000 steps"):
        render(work.replace("WORK", " and ".join(["c == c"] * 30)), names)
    assert time.perf_counter() - started < 2


def test_a_loop_still_knows_where_it_is():
    text = "{% for k, v in labels.items() %}{{ k }}={{ v }}{{ '' if loop.last else ', ' }}{% else %}none{% endfor %}"
    assert render(text, {"labels": {"a": "1", "b": "2"}}) == "a=1, b=2"
    assert render(text, {"labels": {}}) == "none"


def test_the_mark_of_loops_is_no_filter_of_templates():
    assert "no filter named _each" in (check("{{ value | _each(0) }}") or "")
