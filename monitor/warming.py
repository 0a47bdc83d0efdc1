"""Rules of a starting daemon that are unknown because the stored history is shorter than their windows."""

from __future__ import annotations

from monitor.state import MarketState
from rules.ruleset import RuleSet
from rules.warmup import Cold, warm_up


def cold_rules(ruleset: RuleSet, state: MarketState) -> list[Cold]:
    """The rules that are not warm, as of the state's session; none before there is any data."""
    if state.session < 0:
        return []
    begun = zip(state.index.symbols(), state.columns.first_session.tolist(), strict=False)
    first = {symbol: session for symbol, session in begun if session >= 0}
    return warm_up(ruleset, first, state.session, state.calendar.ordinal_on_or_before)


def cold_summary(cold: list[Cold], state: MarketState) -> dict[str, object]:
    """For the log: how many rules, the first of them, and from what date on the last of them is warm."""
    last = max((c.warm for c in cold if c.warm is not None), default=None)
    summary: dict[str, object] = {"count": len(cold), "rules": [c.rule.name for c in cold[:10]]}
    if last is not None and last < len(state.calendar):
        summary["warm_from"] = state.calendar.date(last).isoformat()
    return summary
