from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from monitor.notify.templates import check, render
from rules.load import load_rules
from rules.ruleset import AlertRule
from rules.templates import MAX_SOURCE, template_problems

RIGHT = [
    "",
    "plain text, 4% and { braces }",
    "Small caps lead by {{ value | bp }} over 14 sessions",
    "{{ value | pct(1) }} {{ at | local('%H:%M') }} {{ started | ago }}",
    "{{ labels.desk | default('none') | upper }} {{ labels['desk'] }} {{ labels.get('desk') }}",
    "{% if value > 4 / 100 %}big{% elif value is none %}unknown{% else %}small{% endif %}",
    "{% for symbol, price in evidence.prices.items() %}{{ loop.index }} {{ symbol }}{% endfor %}",
    "{% for e in evidence.expressions if e.value %}{{ e.expr }}{% else %}{{ member }}{% endfor %}",
    "{{ 'a' ~ state ~ reason }} {{ -value if value < 0 else value }} {{ (severity, alert, episode) | join(', ') }}",
    "{% raw %}{{ not a template }}{% endraw %}{# nor this {{ one }} #}",
]
WRONG = [
    ("{{ vlaue | bp }}", "unknown name `vlaue`: did you mean `value`?", 3),
    ("a\nb {{ value | bps }}", "unknown filter `bps`: did you mean `bp`?", 15),
    ("{{ value | format }}", "unknown filter `format`", 11),
    ("{{ value is big }}", "unknown test `big`", 12),
    ("{{ value", "no template: unexpected end of template, expected 'end of print statement'", 0),
    ("a\n{% if %}", "no template: Expected an expression, got 'end of statement block'", 2),
    ("{% for a in labels %}{% for b in labels %}{% endfor %}{% endfor %}", "a loop in a loop", 3),
    ("{% for a in labels recursive %}{{ loop(a) }}{% endfor %}", "a loop in a loop", 3),
    ("{% for a in labels %}{% endfor %}{{ a }}", "unknown name `a`", 7),
    ("{% for a in a %}{% endfor %}", "unknown name `a`", 7),
    ("{{ range(10) }}", "range() cannot be called in messages", 3),
    ("{{ value.hex() }}", "a function() cannot be called in messages", 0),
    ("{{ value.__class__ }}", "`__class__` is private", 9),
    ("{% set a = 1 %}", "`set` is not available in messages", 3),
    ("{% include 'x' %}", "`include` is not available in messages", 3),
    ("{% import 'x' as y %}", "`import` is not available in messages", 3),
    ("{% macro m() %}{% endmacro %}", "`macro` is not available in messages", 3),
    ("{{ 9 ** 9 ** 9 }}", "`**` is not available in messages", 5),
    ("{{ {'a': 1} }}", "`a dictionary` is not available in messages", 0),
    ("x" * (MAX_SOURCE + 1), "a template of 4001 characters; 4000 are the most", 0),
    ("{{ " + "(" * 1_900 + "1" + ")" * 1_900 + " }}", "the template is nested too deep", 0),
]


@pytest.mark.parametrize("text", RIGHT)
def test_accepted(text: str) -> None:
    assert template_problems(text) == []
    assert check(text) is None


@pytest.mark.parametrize(("text", "message", "offset"), WRONG)
def test_refused_where_it_stands(text: str, message: str, offset: int) -> None:
    problem = template_problems(text)[0]
    assert problem.message.startswith(message)
    assert problem.offset == offset


def test_every_problem_is_told() -> None:
    problems = template_problems("{{ a }}\n{{ value | b }}\n{{ c() }}")
    assert [p.message for p in problems] == [
        "unknown name `a`",
        "unknown filter `b`",
        "c() cannot be called in messages",
    ]


LIBRARY = load_rules([Path(rules.__file__).with_name("library")]).ruleset
SAMPLE = {"value": 0.0412, "member": "XLE"}


@pytest.mark.parametrize("rule", LIBRARY.alerts if LIBRARY else (), ids=lambda rule: str(rule.name))
def test_messages_of_the_library_can_be_rendered(rule: AlertRule) -> None:
    assert ("XLE" in render(rule.annotations["summary"], SAMPLE)) == (rule.each is not None)


PIECES = """
{{ value }}
{{ values }}
{{ value | bp }}
{{ value | nope }}
{{ labels.a }}
{{ value is none }}
{% for a in labels %}
{% endfor %}
{% if value %}
{% else %}
{% endif %}
{{ a }}
{{ loop.index }}
{{ value ** 2 }}
{{ value + 1 }}
{{ range(3) }}
{{ labels.items() }}
{% set b = 1 %}
{{ b }}
{{
}}
{#
#}
text
{{ [1, 2] | join }}
{{ value.x[0] }}
{{ 'a' ~ at }}
{{ value | default(a) }}
""".strip().split("\n")


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
@settings(deadline=None)
def test_what_is_accepted_here_is_what_messages_are_made_of(text: str) -> None:
    assert (template_problems(text) == []) == (check(text) is None)
