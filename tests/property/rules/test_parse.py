"""Whatever can be written is read back as it was meant; whatever else comes in gets a diagnostic and nothing worse."""

from __future__ import annotations

import datetime as dt
import string
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

import rules
from rules.ast import Clock, Sessions, Since, Span, Type, Universe, Window, Word
from rules.check import check
from rules.diagnostics import Level
from rules.document import Document, DocumentError, ScalarNode, load
from rules.load import load_texts
from rules.parse import parse
from rules.ruleset import RuleSet
from rules.scalars import offsets
from rules.scope import Scope
from rules.symbols import RESERVED
from rules.syntax import Application, Chain, ExpressionError, Infix, Member, Name, Node, Number, Period, Prefix

S = Span(0, 0)
LIBRARY = (Path(rules.__file__).parent / "library" / "great-rotation.yaml").read_text(encoding="utf-8")

# --- trees, and how they are written

PRECEDENCE = {"or": 1, "and": 2, "not": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "==": 4, "!=": 4}
PRECEDENCE |= {"+": 5, "-": 5, "*": 6, "/": 6}
NEGATIVE, ATOM = 7, 8

words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda w: w not in RESERVED)
symbols = st.from_regex(r"[A-Z^=][A-Z0-9./=^:-]{0,8}( [A-Z]{1,3})?", fullmatch=True)
hundredths = st.integers(0, 10**6)


def number(hundredth: int, unit: str) -> Number:
    digits = (
        f"{hundredth // 100}.{hundredth % 100:02}".rstrip("0").rstrip(".") if hundredth % 100 else f"{hundredth // 100}"
    )
    scale = {"": 100, "%": 10_000, "bp": 1_000_000}[unit]
    return Number(hundredth / scale, Type.RATIO if unit else Type.SCORE, digits + unit, S)


def period(window: Window) -> Period:
    match window:
        case Sessions(count=count):
            text = f"{count}d"
        case Clock(ns=ns):
            text = f"{ns // 10**9}s"
        case Since(date=date):
            text = date.isoformat()
        case _:
            text = str(window)
    return Period(window, text, S)


atoms: st.SearchStrategy[Node] = st.one_of(
    st.builds(number, hundredths, st.sampled_from(["", "%", "bp"])),
    st.builds(Sessions, st.integers(1, 10_000)).map(period),
    st.integers(1, 31 * 24 * 3600).map(lambda s: period(Clock(s * 10**9))),
    st.builds(Since, st.dates(dt.date(1990, 1, 1), dt.date(2099, 12, 31))).map(period),
    st.sampled_from(Word).map(period),
    words.map(lambda w: Name(w, quoted=False, span=S)),
    symbols.map(lambda s: Name(s, quoted=True, span=S)),
    st.just(Member(S)),
)


def grow(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    operators = sorted(PRECEDENCE.keys() - {"and", "or", "not"})
    return st.one_of(
        st.builds(lambda op, a, b: Infix(op, a, b, S, S), st.sampled_from(operators), inner, inner),
        st.builds(lambda op, a: Prefix(op, a, S), st.sampled_from(["-", "not"]), inner),
        st.builds(
            lambda op, a: Chain(op, tuple(a), S),
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=4),
        ),
        st.builds(lambda f, a: Application(f, tuple(a), S, S), words, st.lists(inner, max_size=3)),
    )


trees = st.recursive(atoms, grow, max_leaves=20)


def strength(node: Node) -> int:
    match node:
        case Infix(op=op) | Chain(op=op):
            return PRECEDENCE[op]
        case Prefix(op=op):
            return NEGATIVE if op == "-" else PRECEDENCE["not"]
        case _:
            return ATOM


def written(node: Node, gap: str) -> str:
    """The text of a tree, with no more parentheses than it needs."""

    def operand(child: Node, least: int) -> str:
        text = written(child, gap)
        return text if strength(child) >= least else f"({gap}{text}{gap})"

    own = strength(node)
    match node:
        case Number(text=text) | Period(text=text):
            return text
        case Name(text=text, quoted=quoted):
            return f"'{text}'" if quoted else text
        case Member():
            return "it"
        case Prefix(op="-", operand=inner):
            return f"-{gap}{operand(inner, own)}"
        case Prefix(operand=inner):
            return f"not {operand(inner, own)}"
        case Infix(op=op, left=left, right=right):
            comparison = own == PRECEDENCE["<"]
            return f"{operand(left, own + comparison)} {op} {operand(right, own + 1)}"
        case Chain(op=op, operands=operands):
            return f" {op} ".join(operand(o, own + 1) for o in operands)
        case Application(function=function, args=args):
            return f"{function}({f',{gap}'.join(written(a, gap) for a in args)})"


@given(trees, st.sampled_from(["", " ", "\n  ", "\t"]))
@settings(deadline=None)
def test_a_written_tree_is_read_back(tree: Node, gap: str) -> None:
    assert parse(written(tree, gap)) == tree


@given(trees)
@settings(deadline=None)
def test_spans_contain_what_they_name(tree: Node) -> None:
    text = written(tree, " ")
    whole = parse(text)
    assert parse(text[whole.span.start : whole.span.end]) == tree


# --- everything else

UNIVERSE = Universe("sectors", ())
characters = st.one_of(st.sampled_from(string.printable + "\u2013\u2265\u0430\u2019\u00a0\x00\ud800"), st.characters())


@st.composite
def mutated(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A text with a few characters put in, taken out, doubled, or moved."""
    text = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        to = min(to, at + 12)
        part = draw(st.sampled_from(["", text[at:to] * 2, draw(st.text(characters, max_size=3)), text[:at][-8:]]))
        text = text[:at] + part + text[to:]
    return text


def check_quietly(text: str) -> None:
    checked = check(text, Scope(universes={"sectors": UNIVERSE}), it=UNIVERSE, condition="`when`")
    assert (checked.formula is None) == bool(checked.problems)
    for problem in checked.problems:
        assert 0 <= problem.span.start <= len(text)
        assert problem.message
        assert "\n" not in problem.message.replace(text, "")


@given(st.text(characters, max_size=60))
@example("")
@example("\ud800")
@example("''")
@settings(deadline=None)
def test_any_text_gets_a_problem_or_a_formula(text: str) -> None:
    check_quietly(text)


@given(mutated(trees.map(lambda tree: written(tree, " "))))
@settings(deadline=None)
def test_a_mutated_expression_gets_a_problem_or_a_formula(text: str) -> None:
    check_quietly(text)


@given(trees)
@settings(deadline=None)
def test_a_tree_that_makes_no_sense_gets_problems_in_words(tree: Node) -> None:
    check_quietly(written(tree, " "))


@given(mutated(st.just(LIBRARY)))
@settings(deadline=None, max_examples=60)
def test_a_mutated_file_gets_rules_or_diagnostics(text: str) -> None:
    result = load_texts({"library.yaml": text})
    faulty = any(d.severity is Level.ERROR for d in result.diagnostics)
    assert (result.ruleset is None) == faulty
    assert isinstance(result.ruleset, RuleSet | None)
    for diagnostic in result.diagnostics:
        assert diagnostic.render()


@given(st.text(characters, max_size=80))
@example("a: &a [*a]")
@example("!<>")
@example("%TAG ! tag:x,2000:\n--- !a b")
@settings(deadline=None)
def test_any_text_is_a_document_or_a_document_error(text: str) -> None:
    try:
        assert isinstance(load(text), Document)
    except DocumentError as error:
        assert all(d.render() for d in error.diagnostics)  # noqa: PT017


@given(
    st.lists(st.text(string.ascii_letters + "é日,.()", min_size=1, max_size=5), min_size=1, max_size=6),
    st.sampled_from(["plain", "single", "double", "literal", "folded"]),
    st.data(),
)
@settings(deadline=None)
def test_words_are_found_where_they_stand(parts: list[str], style: str, data: st.DataObject) -> None:
    gaps = [data.draw(st.sampled_from([" ", "\n    "])) for _ in parts[1:]]
    body = parts[0] + "".join(gap + part for gap, part in zip(gaps, parts[1:], strict=True))
    text = {
        "plain": f"k: x{body}\n",
        "single": f"k: '{body}'\n",
        "double": f'k: "{body}"\n',
        "literal": f"k: |\n    {body}\n",
        "folded": f"k: >\n    {body}\n",
    }[style]
    document = load(text)
    node = document.node(("k",))
    assert isinstance(node, ScalarNode)
    places = offsets(node.text, text[node.start : node.end], node.style)
    for character, place in zip(node.text, places, strict=False):
        if not character.isspace():
            assert text[node.start + place] == character


@given(trees)
@settings(deadline=None)
def test_an_error_of_the_parser_is_the_only_one_it_raises(tree: Node) -> None:
    text = written(tree, " ")
    for end in range(len(text)):
        try:
            parse(text[:end])
        except ExpressionError as error:
            assert 0 <= error.span.start <= end  # noqa: PT017
