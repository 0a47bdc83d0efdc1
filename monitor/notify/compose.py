"""From a transition to what people are told of it, and from that to the message for a receiver."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from monitor.notify import values
from monitor.notify.message import SHOWN, AlertNotice, Kind, Notification
from monitor.notify.templates import TemplateError, clipped, render
from rules.transition import Evidence, Reason, State, Transition

SUMMARY: Final = "summary"
_SUMMARY_LIMIT: Final = 300
_ANNOTATION_LIMIT: Final = 2_000
_MOST_NAMES: Final = 5
_WEIGHTS: Final = {"info": 1, "warning": 2, "critical": 3}
_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
    "==": float.__eq__,
    "!=": float.__ne__,
}

OnTemplateError = Callable[[str, str], None]
"""Told of each template that could not be rendered: the rule's name, and the error."""


def told(transition: Transition) -> Kind | None:
    """What a transition is told as; None for one that nobody is told of (pending, recovering, back from recovering)."""
    if not transition.episode:
        return None
    if transition.new is State.FIRING and transition.old is not State.RECOVERING:
        return Kind.FIRING
    if transition.new is State.RESOLVED:
        return Kind.RESOLVED
    return None


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told of a transition, fixed when it is decided.

    `notify`, `repeat` and `escalate` (ns, receivers) are the rule's own.
    """

    kind: Kind
    summary: str
    annotations: Mapping[str, str]
    value: float | None
    evidence: Mapping[str, Any]
    notify: tuple[str, ...] | None = None
    repeat: tuple[str, ...] | None = None
    escalate: tuple[tuple[int, tuple[str, ...]], ...] | None = None


def describe(
    transition: Transition, *, zone: ZoneInfo = values.NEW_YORK, on_error: OnTemplateError | None = None
) -> Notice | None:
    """What a transition is told as; None for one that nobody is told of.

    `zone` is the exchange's, for the `local` filter. A template that fails does not keep the alert from being told: the
    default sentence takes its place, with the rule's name and the error.
    """
    kind = told(transition)
    if kind is None:
        return None
    evidence = plain_evidence(transition.evidence)
    names = {
        "value": values.number(transition.value),
        "labels": dict(transition.labels),
        "evidence": evidence,
        "at": transition.at,
        "started": transition.started_at,
        "episode": transition.episode,
        "alert": transition.alert,
        "member": transition.member,
        "state": str(kind),
        "severity": transition.severity,
        "reason": str(transition.reason),
    }
    rendered: dict[str, str] = {}
    failed: list[str] = []
    for name, text in transition.annotations.items():
        try:
            rendered[name] = render(text, names, zone, _SUMMARY_LIMIT if name == SUMMARY else _ANNOTATION_LIMIT)
        except TemplateError as error:
            failed.append(f"annotation {name} of rule {transition.alert}: {error}")
            if on_error is not None:
                on_error(transition.alert, failed[-1])
            rendered[name] = f"(cannot be shown: {failed[-1]})"
    summary = rendered.pop(SUMMARY, "")
    if not summary.strip() or any(text.startswith(f"annotation {SUMMARY} ") for text in failed):
        summary = " ".join([default_summary(transition, kind, evidence), *(f"({text})" for text in failed)])
    return Notice(
        kind=kind,
        summary=clipped(" ".join(summary.split()), _SUMMARY_LIMIT),
        annotations=rendered,
        value=values.number(transition.value),
        evidence=evidence,
    )


def message(
    receiver: str, notices: Sequence[AlertNotice], *, group_key: str = "", group_labels: Mapping[str, str] | None = None
) -> Notification:
    """The message that tells a receiver of these alerts: as that of one alert where it is one, else as a list."""
    labels = group_labels or {}
    if len(notices) == 1:
        alone = {name: getattr(notices[0], name) for name in AlertNotice.__dataclass_fields__}
        return Notification(receiver=receiver, group_key=group_key, group_labels=labels, **alone)
    ordered = sorted(
        notices, key=lambda n: (n.kind is not Kind.FIRING, -_WEIGHTS.get(n.severity, 0), n.started_at, n.episode)
    )
    digest = hashlib.sha256("\n".join(n.key("") for n in ordered).encode()).hexdigest()[:16]
    firing = sum(n.kind is Kind.FIRING for n in ordered)
    counts = [f"{count} {word}" for count, word in ((firing, "firing"), (len(ordered) - firing, "resolved")) if count]
    about = ", ".join(f"{name}={text}" for name, text in sorted(labels.items())) or _names(ordered)
    first = ordered[0]
    return Notification(
        episode=f"group-{digest}",
        kind=first.kind,
        sequence=1,
        receiver=receiver,
        alert=first.alert if len({n.alert for n in ordered}) == 1 else "",
        member="",
        severity=max((n.severity for n in ordered), key=lambda severity: _WEIGHTS.get(severity, 0)),
        at=max(n.at for n in ordered),
        started_at=min(n.started_at for n in ordered),
        reason="",
        value=None,
        value_type="",
        summary=clipped(f"{', '.join(counts)}: {about}", _SUMMARY_LIMIT),
        labels=labels,
        group_key=group_key,
        group_labels=labels,
        alerts=(*ordered[:SHOWN], *(replace(n, summary="", annotations={}, evidence={}) for n in ordered[SHOWN:])),
    )


def _names(notices: Sequence[AlertNotice]) -> str:
    """The rules the alerts are of, a few of them."""
    names = list(dict.fromkeys(n.alert for n in notices))
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def default_summary(transition: Transition, kind: Kind, evidence: Mapping[str, Any]) -> str:
    """``small-caps-lead fired: ret(IWM, 14d) - ret(mag7, 14d) = 412bp (> 400bp)``."""
    name = f"{transition.alert}[{transition.member}]" if transition.member else transition.alert
    if kind is Kind.FIRING:
        head = f"{name} fired"
    else:
        head = f"{name} resolved after {values.span(transition.at - transition.started_at)}"
    if transition.reason in {Reason.NO_DATA, Reason.RULE_CHANGED, Reason.MARKET_CLOSED}:
        return f"{head}: {transition.reason}"
    return f"{head}: {grounds(transition.value, transition.value_type, evidence) or transition.reason}"


def grounds(value: float | None, value_type: str, evidence: Mapping[str, Any]) -> str:
    """The deciding comparison in words, or the value alone; empty where neither is known."""
    threshold = evidence.get("threshold")
    if threshold:
        seen, level, kind = threshold.get("value"), threshold.get("level"), str(threshold.get("type", ""))
        limit = f"{threshold.get('op')} {values.shown(level, kind, like=seen)}"
        mark = "" if _holds(seen, str(threshold.get("op")), level) else "not "
        return f"{threshold.get('expr')} = {values.shown(seen, kind, like=level)} ({mark}{limit})"
    if values.number(value) is None:
        return ""
    expressions = evidence.get("expressions") or ()
    outermost = (
        f"{expressions[0].get('expr')} = " if expressions and value_type == expressions[0].get("type") else "value "
    )
    return outermost + values.shown(value, value_type)


def _holds(seen: object, op: str, level: object) -> bool:
    """Whether the comparison is true; an unknown one, or one of words, is not contradicted."""
    left, right, test = values.number(seen), values.number(level), _HOLDS.get(op)
    return True if left is None or right is None or test is None else test(left, right)


def plain_evidence(evidence: Evidence) -> dict[str, Any]:
    """The evidence as plain dictionaries, lists and numbers that JSON can carry; unknown numbers are None."""
    return {
        "expressions": [_plain(entry) for entry in evidence.expressions],
        "prices": _plain(evidence.prices),
        "threshold": None if evidence.threshold is None else _plain(evidence.threshold),
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
