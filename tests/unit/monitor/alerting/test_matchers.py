from __future__ import annotations

import pytest

from monitor.alerting.alert import fingerprint
from monitor.alerting.matchers import MatcherError, matches, parse

LABELS = {"alertname": "lead", "severity": "warning", "text": 'a "b"\n'}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("alertname=lead", True),
        ("alert=lead", True),
        ('alert="lead"', True),
        ("alert!=lead", False),
        ("severity=~warn.*", True),
        ("severity=~warn", False),
        ("severity!~warn", True),
        (' severity = "warning" ', True),
        ("missing=", True),
        ('missing!=""', False),
        ("missing=~.*", True),
        (r'text="a \"b\"\n"', True),
        ("text=~(?s:.*)", True),
    ],
)
def test_a_matcher_reads_as_in_alertmanager(text, fits):
    matcher = parse(text)
    assert matcher.matches(LABELS) is fits
    assert parse(str(matcher)) == matcher


def test_a_label_called_alert_is_itself():
    assert matches([parse("alert=other")], {"alertname": "lead", "alert": "other"})


@pytest.mark.parametrize("text", ["", "severity", "=x", "1a=b", 'a="b', "a=~(", "a=~" + "x" * 1001])
def test_what_is_no_matcher_says_why(text):
    with pytest.raises(MatcherError, match=r"matcher|regular expression|characters"):
        parse(text)


def test_the_fingerprint_is_that_of_prometheus():
    """The value of prometheus/common's own test, `model/signature_test.go`."""
    assert int(fingerprint({"name": "garland, briggs", "fear": "love is not enough"}), 16) == 5799056148416392346
