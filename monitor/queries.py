"""What the API and the page ask of the running pipeline, as plain values; each function runs on the compute thread.

They share that thread with the data, so what is asked every second costs columns, not objects, and lists are bounded.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.notify.compose import plain_evidence
from monitor.pipeline import Pipeline
from monitor.web.answers import (
    Alert,
    AlertNow,
    AlertRule,
    Evidence,
    Rejected,
    Series,
    Summary,
    Threshold,
    Transition,
)
from rules import ruleset
from rules.instances import STATES, Code
from rules.instances import labels as instance_labels
from rules.judgement import FALSE, HELD, TRUE, UNKNOWN

_SECOND: Final = 1_000_000_000
_VERDICTS: Final = {-1: "not judged", TRUE: "true", HELD: "held", FALSE: "false", UNKNOWN: "unknown"}
_BY_SEVERITY: Final = {ruleset.Severity.CRITICAL: 0, ruleset.Severity.WARNING: 1, ruleset.Severity.INFO: 2}


def rfc3339(ns: int) -> str | None:
    """UTC nanoseconds as ``2026-01-23T15:07:30Z``, with a fraction where there is one; None for 0."""
    if not ns:
        return None
    seconds, rest = divmod(ns, _SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def known(value: float) -> float | None:
    """A number JSON can carry: unknown is None."""
    return float(value) if math.isfinite(value) else None


def summary(pipeline: Pipeline) -> Summary:
    """Where the monitor is in event time, how much it watches, how many alerts are in which state."""
    engine = pipeline.engine
    counts = np.bincount(engine.instances.state, minlength=len(Code))
    return {
        "at": rfc3339(pipeline.state.now),
        "rules": len(engine.ruleset.alerts),
        "instances": len(engine.instances.rows),
        "instruments": len(engine.requirements.instruments),
        "states": {str(STATES[Code(code)]): int(n) for code, n in enumerate(counts)},
        "state_bytes": pipeline.state.nbytes,
    }


def alerts(pipeline: Pipeline, limit: int | None = None) -> list[Alert]:
    """Instances that are pending, firing or recovering; with a limit the most severe of them, open ones first."""
    table = pipeline.engine.instances
    active: list[int] = np.flatnonzero(table.state != Code.INACTIVE).tolist()
    if limit is not None and len(active) > limit:
        states, rows = table.state.tolist(), table.rows
        active.sort(key=lambda i: (states[i] == Code.PENDING, _BY_SEVERITY[rows[i].rule.severity]))
    return [_instance(pipeline, i) for i in active[:limit]]


def alert(pipeline: Pipeline, episode: str) -> AlertNow | None:
    """The instance that is in this episode now, with its evidence as of the last evaluation."""
    opened = pipeline.engine.instances.opened
    i = next((i for i, each in enumerate(opened) if each.episode == episode), None)
    if i is None or not episode:
        return None
    needs = pipeline.engine.requirements
    view = pipeline.state.view(needs.instruments, needs.series)
    return {**_instance(pipeline, i), "evidence": _evidence(plain_evidence(pipeline.engine.evidence(i, view)))}


def _instance(pipeline: Pipeline, i: int) -> Alert:
    engine = pipeline.engine
    table = engine.instances
    row, opened = table.rows[i], table.opened[i]
    threshold = engine.threshold(i)
    # Finding an expression's value costs more than all the rest, and most often the value is what was compared.
    compared = threshold if row.rule.value is None else None
    value, value_type = (compared["value"], compared["type"]) if compared else engine.value(i)
    return {
        "alert": row.rule.name,
        "member": row.member_name,
        "state": str(STATES[Code(table.state[i])]),  # type: ignore[typeddict-item] # never `resolved` in the table
        "episode": opened.episode,
        "since": rfc3339(opened.started_at or int(table.timer.since[i])),
        "severity": str(row.rule.severity),  # type: ignore[typeddict-item] # the enum's words
        "labels": instance_labels(row.rule, row.member_name),
        "value": value,
        "value_type": value_type,
        "threshold": cast("Threshold | None", threshold),
        "verdict": _VERDICTS[int(table.verdict[i])],
        "flaps": opened.flaps,
    }


def rules(pipeline: Pipeline) -> list[AlertRule | Series]:
    """Every alert rule with its instances' states and verdicts, every record with its value."""
    engine = pipeline.engine
    table, alert_rules = engine.instances, engine.ruleset.alerts
    sizes = [len(rule.each.members) if rule.each else 1 for rule in alert_rules]
    of = np.repeat(np.arange(len(sizes)), sizes)  # instances stand in the order of the rules
    states = _counted(of, len(sizes), table.state, {code: str(state) for code, state in STATES.items()})
    verdicts = _counted(of, len(sizes), table.verdict, _VERDICTS)
    why = suspended(pipeline)
    return [
        *(_rule(rule, s, v, why.get(rule.name)) for rule, s, v in zip(alert_rules, states, verdicts, strict=True)),
        *records(pipeline),
    ]


def suspended(pipeline: Pipeline) -> dict[str, str]:
    """Rules that are not evaluated because they take too long, by name, and the reason in words."""
    return {name: suspension.reason for name, suspension in pipeline.engine.suspended.items()}


def _counted(
    of: npt.NDArray[np.int64], rules_count: int, codes: npt.NDArray[np.int8], words: Mapping[int, str]
) -> list[dict[str, int]]:
    """How many instances of each rule have which code, in words; `of` is the rule's number of each instance."""
    lowest, kinds = min(words), len(words)
    counts = np.bincount(of * kinds + (codes - lowest), minlength=rules_count * kinds).reshape(rules_count, kinds)
    return [{words[code + lowest]: n for code, n in enumerate(row) if n} for row in counts.tolist()]


def _rule(rule: ruleset.AlertRule, states: dict[str, int], verdicts: dict[str, int], why: str | None) -> AlertRule:
    return {
        "alert": rule.name,
        "when": rule.when.text,
        "until": rule.until.text if rule.until else None,
        "each": rule.each.name if rule.each else None,
        "for_seconds": rule.for_ns / _SECOND,
        "keep_firing_for_seconds": rule.keep_firing_for_ns / _SECOND,
        "severity": str(rule.severity),
        "labels": dict(rule.labels),
        "group": rule.group,
        "source": f"{rule.source.file}:{rule.source.line}",
        "states": states,
        "verdicts": verdicts,
        "suspended": why,
    }


def records(pipeline: Pipeline) -> list[Series]:
    """Every named series with its value at the last evaluation."""
    series, why = pipeline.engine.series(), suspended(pipeline)
    return [
        {
            "record": record.name,
            "value": known(series[record.name]),
            "type": str(record.value.expr.type),
            "expr": record.value.text,
            "labels": dict(record.labels),
            "group": record.group,
            "suspended": why.get(record.name),
        }
        for record in pipeline.engine.ruleset.records
    ]


def rejected(pipeline: Pipeline) -> Rejected:
    """What the truth filter refused, by feed and cause, and the newest examples of each cause."""
    rejects = pipeline.truth.rejects
    counts: dict[str, dict[str, int]] = {}
    for (feed, cause), number in rejects.counts.items():
        counts.setdefault(feed, {})[str(cause)] = number
    return {
        "counts": counts,
        "examples": [
            {
                "feed": r.feed,
                "cause": str(r.cause),
                "kind": r.kind,
                "ts": rfc3339(r.event_time or 0),
                "row": dict(r.row),
            }
            for r in rejects.examples()
        ],
    }


def stored_transition(data: bytes) -> Transition:
    """A transition as it is stored (times in nanoseconds), as it is shown."""
    plain = msgspec.json.decode(data)
    return cast(
        "Transition",
        plain
        | {
            "at": rfc3339(plain["at"]),
            "started_at": rfc3339(plain["started_at"]),
            "evidence": _evidence(plain["evidence"]),
        },
    )


def _evidence(plain: dict[str, Any]) -> Evidence:
    """Plain evidence with its times as they are shown."""
    prices = {symbol: price | {"ts": rfc3339(price["ts"])} for symbol, price in plain["prices"].items()}
    return cast("Evidence", plain | {"prices": prices})
