from __future__ import annotations

from pathlib import Path

import pytest

from rules.document import MAX_BYTES, DocumentError, ScalarNode, load


def fault(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        load(text)
    (first, *_) = caught.value.diagnostics
    return f"{first.line}:{first.column}: {first.message}"


def test_scalars_are_read_by_the_core_schema() -> None:
    text = """
    words: [on, no, yes, 1:30, 2025-12-31, 0x10, 1_000, NaN, '12', "true"]
    values: [true, False, 12, -3, 1.5, 1e3, .inf, ~, null, ]
    empty:
    """
    data = load(text).data
    assert data["words"] == ["on", "no", "yes", "1:30", "2025-12-31", "0x10", "1_000", "NaN", "12", "true"]
    assert data["values"] == [True, False, 12, -3, 1.5, 1000.0, float("inf"), None, None]
    assert data["empty"] is None


def test_places_of_keys_and_values() -> None:
    document = load("a:\n  - {b: 1, c: xyz}\n  - d\n", "f.yaml")
    assert document.position(("a", 0, "c")) == (2, 15)
    assert document.key_position(("a", 0, "c")) == (2, 12)
    assert document.position(("a", 1)) == (3, 5)
    assert document.key_position(("a",)) == (1, 1)
    assert document.key_position(("a", 1)) == (3, 5)


def test_the_place_of_what_is_missing_is_that_of_what_it_is_missing_from() -> None:
    document = load("a:\n  b: {c: 1}\n")
    assert document.position(("a", "b", "x", "y")) == (2, 6)
    assert load("").position(("a",)) == (1, 1)
    with pytest.raises(KeyError):
        document.node(("a", "x"))


SCALARS = """\
plain: ret(x, 1d)
plain_lines: one
  two
literal: |
  é one
    two
folded: >-
  one
  two

  three
double: "a\\tb \\u0041 \\
    c\\"d"
single: 'it''s
  here'
anchored: &name value
tagged: !!str 12
"""


@pytest.mark.parametrize("key", ["plain", "plain_lines", "literal", "folded", "double", "single", "anchored", "tagged"])
def test_every_character_of_a_scalar_is_found_in_the_file(key: str) -> None:
    document = load(SCALARS)
    node = document.node((key,))
    assert isinstance(node, ScalarNode)
    for offset, character in enumerate(node.text):
        found = document.text[document.inside(node, offset)]
        if character.isalpha() and found != "\\":
            assert found == character, (key, offset)
        line, column = document.text_position((key,), offset)
        assert document.text.split("\n")[line - 1][column - 1 : column] == found.strip("\n")


def test_place_inside_an_escaped_text() -> None:
    document = load('a: "\\x41\\x42 spy"\n')
    assert document.data == {"a": "AB spy"}
    assert document.text_position(("a",), 3) == (1, 14)


def test_a_key_that_stands_twice_names_both_lines_and_the_rest_is_read() -> None:
    with pytest.raises(DocumentError) as caught:
        load("a: 1\nb: 2\na: 3\nb: 4\n", "f.yaml")
    assert [(d.line, d.message) for d in caught.value.diagnostics] == [
        (3, "`a` stands here twice: first on line 1"),
        (4, "`b` stands here twice: first on line 2"),
    ]
    assert caught.value.document is not None
    assert caught.value.document.data == {"a": 1, "b": 2}


def test_an_alias_repeats_what_its_anchor_names() -> None:
    assert load("a: &x [1, {b: 2}]\nc: *x\n").data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]\n", "1:8: `*x` repeats something that does not exist"),
        ("a: *x\n", "1:4: `*x` repeats something that does not exist"),
        ("a: !!python/name:os.system x\n", "1:4: the tag tag:yaml.org,2002:python/name:os.system means nothing here"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document in one file"),
        ("? [a]\n: b\n", "1:3: a key has to be a word"),
        ("a:\n\tb: 1\n", "2:1: a tab cannot indent"),
        ("a: @x\n", "1:4: a text cannot begin with `@`"),
        ("a: b\x00\n", "1:5: a character that no text file has: U+0000"),
        ("a: \ud800\n", "1:4: a character that no text file has: U+D800"),
        ("[" * 100_000, "1:33: nested more than 32 deep"),
        ("{a: " * 100_000, "1:129: nested more than 32 deep"),
        ("- " * 100_000, "1:65: nested more than 32 deep"),
    ],
)
def test_refused(text: str, message: str) -> None:
    assert fault(text) == message


def test_aliases_that_multiply_are_refused() -> None:
    levels = "".join(f"{c}: &{c} [{', '.join([f'*{b}'] * 10)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True))
    assert "aliases repeat more than 10000 values" in fault(f"a: &a [{', '.join('x' * 10)}]\n{levels}")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as large:
        large.truncate(10 * MAX_BYTES)
    with pytest.raises(DocumentError, match=r"large\.yaml: error: larger than 1 MB"):
        load(file)
    with pytest.raises(DocumentError, match="larger than 1 MB"):
        load("x" * (MAX_BYTES + 1))


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("a: 1\nb: grün\n".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"latin\.yaml:2:6: error: not UTF-8 text"):
        load(file)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nbc: [x,\r\n  y]\r\n")
    document = load(file)
    assert document.data == {"a": 1, "bc": ["x", "y"]}
    assert document.position(("bc", 1)) == (3, 3)
    assert document.line(2) == "bc: [x,"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_no_content(text: str) -> None:
    assert load(text).data is None
