"""From an expression's structure to its meaning: names resolved, every node typed, nonsense refused in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rules.amounts import as_margin, check_together, read_whole
from rules.arguments import (
    OUTSIDE_LOOP,
    OUTSIDE_LOOP_HINT,
    not_a_member,
    read_asset,
    read_series,
    read_universe,
    read_window,
    unknown_name,
)
from rules.ast import (
    Arithmetic,
    Asset,
    Basket,
    Call,
    Clock,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Negate,
    Not,
    RecordRef,
    Series,
    Span,
    Type,
    Universe,
    Window,
)
from rules.categories import EXAMPLE, LISTED, WORDS, is_category, read_category, refuse_order
from rules.diagnostics import did_you_mean
from rules.functions import FUNCTIONS, Kind, Parameter, Signature
from rules.parse import parse
from rules.ruleset import Formula
from rules.scope import MAX_LEVELS, MAX_NODES, Scope
from rules.symbols import is_plain_symbol
from rules.syntax import (
    COMPARISONS,
    Application,
    Chain,
    ExpressionError,
    Infix,
    Member,
    Name,
    Node,
    Number,
    Period,
    Prefix,
    brief,
)
from rules.units import NUMERIC, UnitError, article, combined, compared

IT_IS_NO_VALUE: Final = "`it` is an instrument, not a value: write price(it) or ret(it, 1d)"
MAX_PROBLEMS: Final = 20
"""Of one expression; one that has more is not understood from a longer list."""
Argument = Expr | It | Asset | Universe | Window | Series
_EXAMPLES: Final = {
    Type.RATIO: "> 4%",
    Type.PRICE: "> 100",
    Type.SCORE: "> 2",
    Type.COUNT: ">= 10",
    Type.VOLUME: "> 1000000",
    Type.DURATION: "> 30s",
    Type.CATEGORY: "== leading",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A formula, or why there is none; neither where only something it uses is wrong."""

    formula: Formula | None
    problems: tuple[ExpressionError, ...] = ()


def check(text: str, scope: Scope, *, it: Universe | None = None, condition: str = "") -> Checked:
    """Checks the text of an expression.

    Args:
        text: The expression; positions of problems are in it.
        scope: What names mean.
        it: What `it` loops over, if it does.
        condition: The key whose value has to be a condition; empty where any expression will do.
    """
    try:
        tree = parse(text)
    except ExpressionError as error:
        return Checked(None, (error,))
    checker = _Checker(scope)
    expr = checker.condition(tree, it, condition) if condition else checker.expression(tree, it)
    if expr is not None and not checker.problems:
        nodes, levels = scope.measure(expr)
        if nodes > MAX_NODES or levels > MAX_LEVELS:
            size = f"{nodes} parts in {levels} levels; {MAX_NODES} and {MAX_LEVELS} are the most"
            checker.problems.append(ExpressionError(f"with its records written out this has {size}", tree.span))
    if checker.problems:
        return Checked(None, tuple(checker.problems[:MAX_PROBLEMS]))
    return Checked(None if expr is None else Formula(text, expr))


@dataclass(slots=True)
class _Checker:
    """Returns None where something is wrong below, so that every part is looked at and no fault is told twice."""

    scope: Scope
    problems: list[ExpressionError] = field(default_factory=list)

    def _wrong(self, message: str, span: Span, hint: str = "") -> None:
        self.problems.append(ExpressionError(message, span, hint))

    def condition(self, node: Node, it: Universe | None, needed_by: str) -> Expr | None:
        """An expression that has to be a condition."""
        expr = self.expression(node, it)
        if expr is None or expr.type is Type.CONDITION:
            return expr
        example = f": compare it, as in `{brief(node)} {_EXAMPLES[expr.type]}`" if expr.type in _EXAMPLES else ""
        self._wrong(f"{needed_by} needs a condition, and {brief(node)} is {article(expr.type)}{example}", node.span)
        return None

    def expression(self, node: Node, it: Universe | None) -> Expr | None:
        """An expression of any type."""
        match node:
            case Number(value=value, type=type_):
                return Literal(value, type_, node.span)
            case Period():
                return self._period(node)
            case Name():
                return self._name(node)
            case Member():
                message, hint = (OUTSIDE_LOOP, OUTSIDE_LOOP_HINT) if it is None else (IT_IS_NO_VALUE, "")
                self._wrong(message, node.span, hint)
                return None
            case Application():
                return self._call(node, it)
            case _:
                return self._operation(node, it)

    # --- names and literals

    def _period(self, node: Period) -> Expr | None:
        match node.window:
            case Clock(ns=ns):
                return Literal(float(ns), Type.DURATION, node.span)
            case _:
                hint = f"a number of sessions is written {node.text[:-1]}" if node.text[-1] == "d" else ""
                self._wrong(
                    f"{node.text} is a window, and stands inside a function, as in ret(SPY, {node.text})",
                    node.span,
                    hint,
                )
                return None

    def _name(self, node: Name) -> Expr | None:
        text, scope = node.text, self.scope
        if not node.quoted and text in scope.records:
            value = scope.records[text].value
            return RecordRef(text, value, value.type, node.span)
        if not node.quoted and text in scope.broken:
            return None
        if not node.quoted and text in scope.universes:
            self._wrong(f"`{text}` is a universe, not a value", node.span, f"count its members with share({text}, ...)")
        elif node.quoted or text in scope.aliases or text in scope.baskets or is_plain_symbol(text):
            what = "a basket" if not node.quoted and text in scope.baskets else "an instrument"
            shown = brief(node)
            self._wrong(f"`{shown}` is {what}, not a value: write price({shown}) or ret({shown}, 1d)", node.span)
        elif text in FUNCTIONS:
            self._wrong(f"`{text}` is a function: write {FUNCTIONS[text].usage}", node.span)
        elif text in WORDS:
            self._wrong(f"`{text}` is a category, and stands in a comparison, as in {EXAMPLE}", node.span)
        else:
            self._unknown(node)
        return None

    def _unknown(self, node: Name) -> None:
        problem = unknown_name(node, self.scope.names())
        if (hint := problem.hint) and not node.text.isupper():
            problem.hint = f"{hint}; an external series is read with value({node.text})"
        self.problems.append(problem)

    # --- operators

    def _operation(self, node: Prefix | Infix | Chain, it: Universe | None) -> Expr | None:
        match node:
            case Prefix(op="not"):
                operand = self.condition(node.operand, it, "`not`")
                return None if operand is None else Not(operand, node.span)
            case Prefix():
                return self._negation(node, it)
            case Infix():
                return self._infix(node, it)
            case Chain():
                return self._chain(node, it)

    def _negation(self, node: Prefix, it: Universe | None) -> Expr | None:
        if isinstance(node.operand, Period):
            self._wrong(f"a window cannot be negative: write {node.operand.text}", node.span)
            return None
        operand = self.expression(node.operand, it)
        if operand is None:
            return None
        if operand.type not in NUMERIC:
            self._wrong(
                f"{brief(node.operand)} is {article(operand.type)} and has no negative",
                node.span,
                "conditions are turned round with `not`",
            )
            return None
        if isinstance(operand, Literal):
            return Literal(-operand.value, operand.type, node.span)
        return Negate(operand, operand.type, node.span)

    def _infix(self, node: Infix, it: Universe | None) -> Expr | None:
        if (symbol := self._split_symbol(node)) is not None:
            self._wrong(f"`{symbol}` is read as two instruments: quote it if it is one symbol: '{symbol}'", node.span)
            return None
        if node.op in COMPARISONS and (is_category(node.left, self.scope) or is_category(node.right, self.scope)):
            return self._category_comparison(node, it)
        left, right = self.expression(node.left, it), self.expression(node.right, it)
        if left is None or right is None:
            return None
        sides = (node.left, left, left.type), (node.right, right, right.type)
        try:
            if node.op in COMPARISONS:
                compared(node.op, *sides)
                return Comparison(node.op, left, right, node.span)
            return Arithmetic(node.op, left, right, combined(node.op, *sides), node.span)
        except UnitError as error:
            self._wrong(error.message, node.op_span if error.at is None else error.at.span, error.hint)
            return None

    def _category_comparison(self, node: Infix, it: Universe | None) -> Expr | None:
        """``quadrant(...) == leading``, either way round; its words mean categories here, whatever else they name."""
        sides: list[Expr | None] = []
        for side, other in ((node.left, node.right), (node.right, node.left)):
            try:
                word = read_category(side, other, self.scope) if is_category(other, self.scope) else None
            except ExpressionError as error:
                self.problems.append(error)
                sides.append(None)
                continue
            sides.append(word or self.expression(side, it))
        left, right = sides
        if left is None or right is None:
            return None
        for side, type_, other in ((node.left, left.type, node.right), (node.right, right.type, node.left)):
            if type_ is not Type.CATEGORY:
                message = f"{brief(side)} is {article(type_)} and {brief(other)} is a category: they cannot be compared"
                self._wrong(message, side.span, f"a category is compared with {LISTED}")
                return None
        try:
            refuse_order(node)
        except ExpressionError as error:
            self.problems.append(error)
            return None
        return Comparison(node.op, left, right, node.span)

    def _split_symbol(self, node: Infix) -> str | None:
        """``BTC/USD``, which was meant as one symbol."""
        for side in (node.left, node.right):
            if (
                not isinstance(side, Name)
                or side.quoted
                or not is_plain_symbol(side.text)
                or side.text in self.scope.names()
            ):
                return None
        assert isinstance(node.left, Name) and isinstance(node.right, Name)  # noqa: S101, PT018 - looked at above
        return f"{node.left.text}{node.op}{node.right.text}" if node.op in {"/", "-"} else None

    def _chain(self, node: Chain, it: Universe | None) -> Expr | None:
        checked = [self.condition(operand, it, f"`{node.op}`") for operand in node.operands]
        operands: list[Expr] = []
        for operand in checked:
            if operand is None:
                return None
            operands += operand.operands if isinstance(operand, Logic) and operand.op == node.op else (operand,)
        return Logic(node.op, tuple(operands), node.span)

    # --- functions

    def _call(self, node: Application, it: Universe | None) -> Expr | None:
        signature = FUNCTIONS.get(node.function)
        if signature is None:
            found = did_you_mean(node.function, FUNCTIONS)
            hint = "" if found else f"functions are {', '.join(sorted(FUNCTIONS))}"
            self._wrong(f"unknown function `{node.function}`{found}", node.function_span, hint)
            return None
        if len(node.args) != len(signature.parameters):
            wanted = len(signature.parameters)
            message = (
                f"{signature.usage} takes {wanted} argument{'s' if wanted > 1 else ''}, and here {_are(len(node.args))}"
            )
            self._wrong(message, node.span, signature.summary)
            return None
        args = self._arguments(node, signature, it)
        if args is None:
            return None
        result = signature.result
        if result is None:
            result = next(arg.type for arg in args if isinstance(arg, Expr))
        return Call(signature.name, args, result, node.span)

    def _arguments(self, node: Application, signature: Signature, it: Universe | None) -> tuple[Argument, ...] | None:
        """All arguments, or None if one is wrong."""
        universe: Universe | None = None
        args: list[Argument] = []
        for given, parameter in zip(node.args, signature.parameters, strict=True):
            if parameter.of_member and universe is None:
                continue  # what it would be about is wrong itself
            found = self._argument(given, signature, parameter, universe if parameter.of_member else it)
            if isinstance(found, Universe):
                universe = found
            if found is not None:
                args.append(found)
        if len(args) < len(signature.parameters):
            return None
        if signature.member_of_universe and universe is not None and isinstance(args[0], It | Instrument | Basket):
            problem = not_a_member(node.args[0], args[0], universe, it)
            if problem is not None:
                self.problems.append(problem)
                return None
        try:
            check_together(node, signature, args)
        except ExpressionError as error:
            self.problems.append(error)
            return None
        return tuple(args)

    def _argument(self, node: Node, signature: Signature, parameter: Parameter, it: Universe | None) -> Argument | None:
        found: Argument | None
        try:
            match parameter.kind:
                case Kind.ASSET:
                    found = read_asset(node, signature, parameter, self.scope, it)
                case Kind.UNIVERSE:
                    found = read_universe(node, signature, parameter, self.scope)
                case Kind.WINDOW | Kind.SAMPLES | Kind.SESSIONS:
                    found = read_window(node, signature, parameter)
                case Kind.WHOLE:
                    found = read_whole(node, signature, parameter)
                case Kind.SERIES:
                    found = read_series(node, signature, self.scope)
                case Kind.CONDITION:
                    found = self.condition(node, it, signature.usage)
                case Kind.VALUE | Kind.LEVEL:
                    found = self._value(node, it, signature)
                case Kind.RATIO:
                    expr = self._value(node, it, signature)
                    found = None if expr is None else as_margin(node, expr, signature, parameter)
        except ExpressionError as error:
            self.problems.append(error)
            return None
        return found

    def _value(self, node: Node, it: Universe | None, signature: Signature) -> Expr | None:
        expr = self.expression(node, it)
        if expr is None or expr.type in NUMERIC:
            return expr
        of_members = any(parameter.of_member for parameter in signature.parameters)
        hint = f"compare it: {brief(node)} == leading" if expr.type is Type.CATEGORY else _COUNT_INSTEAD[of_members]
        self._wrong(f"{signature.usage} needs a value, and {brief(node)} is {article(expr.type)}", node.span, hint)
        return None


_COUNT_INSTEAD: Final = {
    True: "share(u, c) and count(u, c) are of a condition about the members",
    False: "streak(...) and held(...) count samples for which a condition held, share(...) the members",
}


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count or 'none'}"
