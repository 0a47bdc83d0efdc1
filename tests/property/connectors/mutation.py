"""Frames as a broken line, or somebody hostile, would change them: by a seed, fast, and the same each time."""

import random
from collections.abc import Iterator, Sequence

TOKENS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"1e-320", b"NaN", b"99999999999999999999", b"-9223372036854775809", b'""',
    b"[]", b"{}", b'"\\ud800"', b'"\xff"', b"\x00", b"[" * 40,
    b'{"', b",", b":", b'"t":', b'"data":', b"9007199254740993",
]  # fmt: skip


def mutated(frames: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` frames, each one of `frames` with one to four changes: bytes flipped, cut, doubled, swapped, replaced."""
    source = random.Random(seed)
    for _ in range(count):
        content = bytearray(source.choice(frames))
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(content) + 1)
            match source.randrange(7):
                case 0 if at < len(content):
                    content[at] ^= 1 << source.randrange(8)
                case 1:
                    del content[at : at + source.randint(1, 12)]
                case 2:
                    content[at:at] = content[at : at + source.randint(1, 30)]
                case 3:
                    content[at:at] = source.choice(TOKENS)
                case 4:
                    content[at : at + source.randint(1, 8)] = source.choice(TOKENS)
                case 5:
                    other = source.choice(frames)
                    start = source.randrange(len(other))
                    content[at : at + source.randint(0, 20)] = other[start : start + 20]
                case _:  # another digit or letter, so that what is still JSON has other values
                    if at < len(content) and 48 <= content[at] < 58:
                        content[at] = source.randrange(48, 58)
        yield bytes(content)
