"""Why a rule fires, or does not: every part of its condition with its value, and how far it is from being true.

Reads the engine as it is after its last evaluation; to be called where the pipeline is, on the compute thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from monitor.notify.values import shown, utc
from monitor.pipeline import Pipeline
from rules.ast import (
    Asset,
    Basket,
    Call,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Not,
    RecordRef,
    Series,
    Universe,
)
from rules.evaluator import Evaluator
from rules.evidence import deciding, name
from rules.instances import STATES, Code
from rules.load import parse_expression
from rules.plan import Compiler
from rules.ruleset import AlertRule, Formula
from rules.scope import children
from rules.view import Floats, Requirements
from rules.warmup import Cold, warm_up

_SECOND: Final = 1_000_000_000
_MEMBERS: Final = 20
"""Members of a universe told one by one."""
_SYMBOLS: Final = 5
"""Symbols named as the cause of one unknown value."""
_MOST: Final = 200
"""Instances explained in full: those nearest to firing come first."""
_ORDER: Final = {Code.FIRING: 0, Code.RECOVERING: 1, Code.PENDING: 2, Code.INACTIVE: 3}


_Parts = Sequence[tuple[Expr, Asset | None]]


class UnknownRule(LookupError):
    """There is no alert rule of this name."""


class UnknownInputs(ValueError):
    """An expression reads what there is no data of."""


def explain(pipeline: Pipeline, rule_name: str) -> dict[str, Any]:
    """The rule and each of its instances: where it stands, its condition as a tree, what is missing.

    Raises:
        UnknownRule: No alert rule in force has the name.
    """
    engine = pipeline.engine
    rule = next((r for r in engine.ruleset.alerts if r.name == rule_name), None)
    if rule is None:
        raise UnknownRule(f"there is no alert rule `{rule_name}`")
    table = engine.instances
    rows = [i for i, row in enumerate(table.rows) if row.rule.name == rule_name]
    rows.sort(key=lambda i: _ORDER[Code(int(table.state[i]))])
    suspension = engine.suspended.get(rule_name)
    witness = _Witness(pipeline, rule, engine.requirements, engine.values_of)
    return {
        "alert": rule.name,
        "source": f"{rule.source.file}:{rule.source.line}",
        "when": rule.when.text,
        "until": rule.until.text if rule.until else None,
        "severity": str(rule.severity),
        "at": utc(pipeline.state.now) if pipeline.state.now else None,
        "open": pipeline.state.calendar.is_open(pipeline.state.now, rule.hours) if pipeline.state.now else False,
        "hours": str(rule.hours),
        "suspended": suspension.reason if suspension else None,
        "instances": [] if suspension else [witness.instance(i) for i in rows[:_MOST]],
        "more": 0 if suspension else max(0, len(rows) - _MOST),
    }


def evaluate(pipeline: Pipeline, text: str) -> dict[str, Any]:
    """The value now of an expression that somebody typed, as a tree, with the names of the rules in force.

    Raises:
        FormulaError: It is no expression of the rule language.
        UnknownInputs: It reads something that no feed and no rule has brought here.
    """
    state = pipeline.state
    formula = parse_expression(text, pipeline.engine.ruleset)
    compiler = Compiler(state.calendar.session_ns)
    compiler.slot(formula.expr)
    plan = compiler.plan()
    needs = plan.requirements
    known = set(state.index.symbols())
    if strange := [symbol for symbol in needs.instruments if symbol not in known]:
        raise UnknownInputs(f"there is no data of {', '.join(strange[:_SYMBOLS])}: name what a rule or a feed has")
    evaluator = Evaluator(plan)
    values = evaluator.evaluate(state.view(needs.instruments, needs.series)) if state.now else evaluator.values
    witness = _Witness(pipeline, None, needs, lambda parts: values[[compiler.slot(e, it) for e, it in parts]])
    return {"at": utc(state.now) if state.now else None, **witness.tree(formula.expr, formula.text, None)}


@dataclass(frozen=True, slots=True)
class _Source:
    """An expression's text, which its spans point into."""

    text: str

    def of(self, expr: Expr) -> str:
        return self.text[expr.span.start : expr.span.end]


class _Witness:
    """Values of the last evaluation as trees."""

    def __init__(
        self, pipeline: Pipeline, rule: AlertRule | None, needs: Requirements, values_of: Callable[[_Parts], Floats]
    ) -> None:
        self._pipeline, self._rule, self._engine, self._values_of = pipeline, rule, pipeline.engine, values_of
        self._records: Mapping[str, Formula] = {r.name: r.value for r in pipeline.engine.ruleset.records}
        view = pipeline.state.view(needs.instruments, needs.series)
        self._prices = dict(zip(needs.instruments, view.prices().tolist(), strict=True))
        self._times = dict(zip(needs.instruments, view.price_times().tolist(), strict=True))
        self._ages = dict(zip(needs.instruments, view.ages().tolist(), strict=True))
        self._series = dict(zip(needs.series, view.external().tolist(), strict=True))
        self._cold: list[Cold] | None = None

    def instance(self, i: int) -> dict[str, Any]:
        """Where one instance stands, and why."""
        table, calendar, now = self._engine.instances, self._pipeline.state.calendar, self._pipeline.state.now
        row, opened, code = table.rows[i], table.opened[i], Code(table.state[i])
        rule = row.rule
        clearing = code in (Code.FIRING, Code.RECOVERING) and rule.until is not None
        formula = rule.until if clearing and rule.until is not None else rule.when
        since = int(table.timer.since[i])
        counted = int(table.timer.accumulated[i])
        counted += calendar.trading_time(since, now, rule.hours) if since else 0
        wanted = {Code.PENDING: rule.for_ns, Code.RECOVERING: rule.keep_firing_for_ns}.get(code)
        tree = self.tree(formula.expr, formula.text, row.member, wanted=True)
        unknown = list(dict.fromkeys(_reasons(tree)))
        return {
            "member": row.member_name,
            "state": str(STATES[code]),
            "episode": opened.episode,
            "since": utc(opened.started_at) if opened.started_at else None,
            "condition": "until" if clearing else "when",
            "tree": tree,
            "remaining_seconds": None if wanted is None else max(0, wanted - counted) / _SECOND,
            "of_seconds": None if wanted is None else wanted / _SECOND,
            "running": bool(since),
            "unknown": unknown,
        }

    def tree(self, expr: Expr, text: str, it: Asset | None, *, wanted: bool | None = None) -> dict[str, Any]:
        """An expression and its parts. `wanted`: what it would have to be; None where that says nothing."""
        return self._node(expr, _Source(text), it, wanted)

    def _node(self, expr: Expr, source: _Source, it: Asset | None, wanted: bool | None) -> dict[str, Any]:  # noqa: FBT001
        value = float(self._values_of([(expr, it)])[0])
        known = not math.isnan(value)
        node: dict[str, Any] = {
            "expr": source.of(expr),
            "type": str(expr.type),
            "value": value if known else None,
            "text": shown(value if known else None, str(expr.type)),
            "missing": wanted is not None and not (known and (value == 1.0) is wanted),
            "parts": [],
            "unknown": [],
        }
        if isinstance(expr, Comparison):
            node |= self._comparison(expr, it, wanted=wanted)
        elif isinstance(expr, Logic):
            node["op"] = expr.op
        elif isinstance(expr, Not):
            node["op"] = "not"
        node["parts"] = list(self._parts(expr, source, it, wanted if node["missing"] else None))
        if not known and not any(next(_reasons(part), None) for part in node["parts"]):
            node["unknown"] = self._causes(expr, it)
        return node

    def _parts(self, expr: Expr, source: _Source, it: Asset | None, wanted: bool | None) -> Iterator[dict[str, Any]]:  # noqa: FBT001
        match expr:
            case RecordRef(name=record):
                formula = self._records.get(record)
                if formula is not None:
                    yield self._node(formula.expr, _Source(formula.text), None, wanted)
            case Not(operand=operand):
                yield self._node(operand, source, it, None if wanted is None else not wanted)
            case Logic(operands=operands):
                for operand in operands:
                    yield self._node(operand, source, it, wanted)
            case Call(args=args) if universe := next((a for a in args if isinstance(a, Universe)), None):
                inner = children(expr)
                for member in universe.members if len(universe.members) <= _MEMBERS else ():
                    for part in inner:
                        yield self._node(part, source, member, None) | {"member": name(member)}
            case _:
                for part in children(expr):
                    if not isinstance(part, Literal):
                        yield self._node(part, source, it, None)

    def _comparison(self, expr: Comparison, it: Asset | None, *, wanted: bool | None) -> dict[str, Any]:
        """Both sides, and by how much the watched one has to move for the comparison to be what is wanted."""
        found = deciding(expr)
        if found is None:
            return {"op": expr.op}
        watched, op, level = found
        value, limit = self._values_of([(watched, it), (level, it)]).tolist()
        kind = str(watched.type)
        told: dict[str, Any] = {
            "op": op,
            "watched": None if math.isnan(value) else value,
            "level": None if math.isnan(limit) else limit,
            "watched_text": shown(value, kind, like=limit),
            "level_text": shown(limit, kind, like=value),
        }
        if not (math.isnan(value) or math.isnan(limit)):
            gap = limit - value
            told |= {"distance": gap, "distance_text": shown(abs(gap), kind, like=value)}
            holds = float(self._values_of([(expr, it)])[0]) == 1.0
            if wanted is not None and holds is not wanted and kind != "category":
                told["move"] = "up" if gap > 0 or (gap == 0 and op in (">", "<=")) else "down"
        return told

    # --- why something is unknown -------------------------------------------------------------------------------------

    def _causes(self, expr: Expr, it: Asset | None) -> list[str]:
        """Which inputs of an unknown value are unknown, and why; at least one line."""
        symbols = list(dict.fromkeys(_symbols(expr, it)))
        series = list(dict.fromkeys(_series(expr)))
        found = [cause for s in symbols if (cause := self._price(s))]
        found += [f"series {s}: never had a value" for s in series if math.isnan(self._series.get(s, math.nan))]
        if not found:
            found = [self._warming(cold) for cold in self._colds() if cold.symbol in symbols]
        if not found:
            found = [f"no value of {', '.join([*symbols, *series]) or 'its inputs'} for this window"]
        more = len(found) - _SYMBOLS
        return [*found[:_SYMBOLS], *([f"and {more} more"] if more > 0 else [])]

    def _price(self, symbol: str) -> str | None:
        """Why a price is unknown; None where it is known."""
        if not math.isnan(self._prices.get(symbol, math.nan)):
            return None
        age = self._ages.get(symbol, math.nan)
        if math.isnan(age):
            return f"{symbol}: no data"
        since = self._pipeline.state.now - int(age)
        return f"{symbol}: stale since {utc(since)}"

    def _colds(self) -> list[Cold]:
        """What the rule, and the records it may use, lack in history."""
        if self._cold is None:
            state = self._pipeline.state
            begun = zip(state.index.symbols(), state.columns.first_session.tolist(), strict=False)
            first = {symbol: session for symbol, session in begun if session >= 0}
            found = warm_up(self._engine.ruleset, first, state.session, state.calendar.ordinal_on_or_before)
            names = {*self._records, *([self._rule.name] if self._rule else [])}
            self._cold = [] if state.session < 0 else [cold for cold in found if cold.rule.name in names]
        return self._cold

    def _warming(self, cold: Cold) -> str:
        if cold.warm is None or cold.warm >= len(self._pipeline.state.calendar):
            return f"{cold.symbol}: its history begins after {cold.since or 'the start of the window'}"
        date = self._pipeline.state.calendar.date(cold.warm)
        return f"{cold.symbol}: warming up until {date}, {cold.stored} of {cold.needed} sessions are stored"


def _symbols(expr: object, it: Asset | None) -> Iterator[str]:
    """Instruments an expression reads, records' included; of a universe, all members'."""
    match expr:
        case It() if it is not None:
            yield from _symbols(it, it)
        case Instrument(symbol=symbol):
            yield symbol
        case Basket(weights=weights):
            yield from (symbol for symbol, _ in weights)
        case Universe(members=members):
            for member in members:
                yield from _symbols(member, it)
        case RecordRef(value=value):
            yield from _symbols(value, None)
        case Call(args=args):
            for arg in args:
                yield from _symbols(arg, it)
        case _ if isinstance(expr, Expr):
            for child in children(expr):
                yield from _symbols(child, it)


def _series(expr: object) -> Iterator[str]:
    """External series an expression reads."""
    match expr:
        case Series(name=series):
            yield series
        case RecordRef(value=value):
            yield from _series(value)
        case Call(args=args):
            for arg in args:
                yield from _series(arg)
        case _ if isinstance(expr, Expr):
            for child in children(expr):
                yield from _series(child)


def _reasons(node: Mapping[str, Any]) -> Iterator[str]:
    """Why a tree is unknown: what its parts say."""
    yield from node["unknown"]
    for part in node["parts"]:
        yield from _reasons(part)
