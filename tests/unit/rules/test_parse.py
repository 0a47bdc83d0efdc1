from __future__ import annotations

import datetime as dt

import pytest

from rules.ast import Clock, Sessions, Since, Span, Type, Word
from rules.parse import MAX_DEPTH, MAX_LENGTH, parse
from rules.syntax import Application, Chain, ExpressionError, Infix, Member, Name, Node, Number, Period, Prefix, brief

S = Span(0, 0)
MINUTE = 60_000_000_000


def name(text: str, *, quoted: bool = False) -> Name:
    return Name(text, quoted, S)


def infix(op: str, left: Node, right: Node) -> Infix:
    return Infix(op, left, right, S, S)


A, B, C = name("a"), name("b"), name("c")


@pytest.mark.parametrize(
    ("text", "value", "type_"),
    [
        ("4%", 0.04, Type.RATIO),
        ("400bp", 0.04, Type.RATIO),
        ("4.35%", 0.0435, Type.RATIO),
        ("0.1bp", 0.00001, Type.RATIO),
        (".5%", 0.005, Type.RATIO),
        ("1.5", 1.5, Type.SCORE),
        ("0", 0.0, Type.SCORE),
    ],
)
def test_numbers_are_in_base_units_and_exactly_rounded(text: str, value: float, type_: Type) -> None:
    assert parse(text) == Number(value, type_, text, S)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("14d", Sessions(14)),
        ("2w", Sessions(10)),
        ("30s", Clock(MINUTE // 2)),
        ("5m", Clock(5 * MINUTE)),
        ("2h", Clock(120 * MINUTE)),
        ("2025-12-31", Since(dt.date(2025, 12, 31))),
        *((word.value, word) for word in Word),
    ],
)
def test_windows(text: str, window: object) -> None:
    tree = parse(text)
    assert isinstance(tree, Period)
    assert tree.window == window


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", infix("+", A, infix("*", B, C))),
        ("a - b - c", infix("-", infix("-", A, B), C)),
        ("a / b / c", infix("/", infix("/", A, B), C)),
        ("(a + b) * c", infix("*", infix("+", A, B), C)),
        ("-a * b", infix("*", Prefix("-", A, S), B)),
        ("a - -b", infix("-", A, Prefix("-", B, S))),
        ("not a > b", Prefix("not", infix(">", A, B), S)),
        ("not a and b", Chain("and", (Prefix("not", A, S), B), S)),
        ("a or b and c", Chain("or", (A, Chain("and", (B, C), S)), S)),
        ("a and b and c", Chain("and", (A, B, C), S)),
        ("f()", Application("f", (), S, S)),
        ("f(a, 'BRK.B', it)", Application("f", (A, name("BRK.B", quoted=True), Member(S)), S, S)),
        ("f(rates.ust_10y, A.1)", Application("f", (name("rates.ust_10y"), name("A.1")), S, S)),
        ("opening + note", infix("+", name("opening"), name("note"))),
        ("IT + OPEN", infix("+", name("IT"), name("OPEN"))),
        ("a\n  <=\tb", infix("<=", A, B)),
        ("a-b", infix("-", A, B)),
    ],
)
def test_structure(text: str, tree: Node) -> None:
    assert parse(text) == tree


def test_spans_are_places_in_the_text_with_parentheses() -> None:
    text = " (a + b) * ret(IWM, 14d) > 4% "
    tree = parse(text)
    assert isinstance(tree, Infix)
    product = tree.left
    assert isinstance(product, Infix)
    call = product.right
    assert isinstance(call, Application)

    def shown(span: Span) -> str:
        return text[span.start : span.end]

    assert shown(tree.span) == "(a + b) * ret(IWM, 14d) > 4%"
    assert shown(tree.op_span) == ">"
    assert shown(product.left.span) == "(a + b)"
    assert shown(call.function_span) == "ret"
    assert shown(call.args[1].span) == "14d"


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 0, "an expression is missing here"),
        ("ret(", 3, "`(` is never closed"),
        ("a)", 1, "`)` closes nothing"),
        ("a >", 3, "the expression ends too early: expected a value here"),
        ("a b", 2, "expected an operator or the end here, found `b`"),
        ("f(a,)", 4, "expected a value here, found `)`"),
        ("f(,)", 2, "expected a value or `)` here, found `,`"),
        ("a < b < c", 6, "comparisons cannot be chained"),
        ("price(BRK..B)", 9, "`.` means nothing here"),
        ("a ; b", 2, "`;` means nothing here"),
        ("'abc", 0, "the quote is never closed"),
        ("''", 0, "an empty symbol"),
        ("' x'", 0, "` x` is no symbol"),
        ("1.2.3", 0, "`1.2.3` is no number"),
        ("7q1", 0, "`7q1` is no number"),
        ("2025-13-01", 0, "`2025-13-01` is no date"),
        ("745h", 0, "`745h`: clock time goes up to 744h: write trading sessions, such as 20d"),
        ("1" * 40, 0, "a number of 40 characters; 30 is the most"),
        ("a\u00a0+ b", 1, "NO-BREAK SPACE (U+00A0) means nothing here"),
        ("\u0455mall", 0, "`\u0455mall` contains `\u0455`, CYRILLIC SMALL LETTER DZE (U+0455)"),
        ("\u0663 > 1", 0, "`\u0663`, ARABIC-INDIC DIGIT THREE (U+0663) means nothing here"),
    ],
)
def test_errors(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.message == message
    assert caught.value.span.start == column


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "(" * 1_900 + "a" + ")" * 1_900,
        "-" * 3_900 + "a",
        "not " * 900 + "a",
        "+".join("a" * 1_900),
        "f(" * 1_300 + "a" + ")" * 1_300,
        "a and " * 1_000_000 + "a",
    ],
)
def test_nesting_and_length_are_bounded(text: str) -> None:
    with pytest.raises(ExpressionError, match=f"more than {MAX_DEPTH} deep|{MAX_LENGTH} are the most"):
        parse(text)


def test_as_deep_as_allowed() -> None:
    parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    parse("+".join("a" * MAX_DEPTH))
    parse(" and ".join("a" * 600))


def test_brief_leaves_arguments_out() -> None:
    assert brief(parse("ret(IWM, 14d) - ret(SPY, 14d)")) == "ret(...) - ret(...)"
    assert brief(parse("(a + b) * 'X.Y'")) == "(...) * 'X.Y'"
    assert brief(parse("not it > 4%")) == "not (...)"
    assert brief(parse("a and b")) == "... and ..."
    assert brief(parse("f() + ytd")) == "f() + ytd"
