"""SVG to PNG, and the process that does nothing else: this file, run by itself.

resvg takes some 60 to 100 ms a picture and holds the interpreter's lock meanwhile, which is why the daemon has this
done by another process. Requests come on standard input, answers go to standard output, each behind its length (four
bytes, big-endian); an answer starts with one byte, 1: a PNG, 0: why there is none. The process
ends when its input does.
"""

from __future__ import annotations

import ctypes
import signal
import struct
import sys
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

import resvg_py

FAMILY: Final = "Open Sans"
_WEIGHTS: Final = ("OpenSans-Regular.ttf", "OpenSans-SemiBold.ttf")
_PR_SET_PDEATHSIG: Final = 1
LENGTH: Final = struct.Struct(">I")
DRAWN: Final = b"\1"
REFUSED: Final = b"\0"


class FontMissing(RuntimeError):
    """The fonts that pictures are written in are not where their package put them: install the monitor again."""


@cache
def fonts() -> tuple[str, ...]:
    """The font files. The machine's own are never used: a picture looks the same everywhere.

    Raises:
        FontMissing: One is not there.
    """
    from ttf_opensans import TTF_BIN_FOLDER  # noqa: PLC0415 - only this module draws, and only when it does

    files = [Path(TTF_BIN_FOLDER, name) for name in _WEIGHTS]
    if absent := [str(f) for f in files if not f.is_file()]:
        raise FontMissing(f"no font at {', '.join(absent)}: install the package ttf-opensans again")
    return tuple(str(f) for f in files)


def render(svg: str, zoom: float = 2.0) -> bytes:
    """A PNG of `zoom` pixels for each of the drawing's.

    Raises:
        ValueError: It is no SVG.
        FontMissing: There is nothing to write with.
    """
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        skip_system_fonts=True,
        font_files=list(fonts()),
        font_family=FAMILY,
        sans_serif_family=FAMILY,
        zoom=zoom,
    )


def check_text() -> None:
    """Make sure that letters appear in pictures: resvg leaves out, without a word, what it has no font for.

    Raises:
        FontMissing: They do not.
    """
    nothing, first, second = (render(_letter(text)) for text in ("", "R", "M"))
    if len({nothing, first, second}) < 3:  # noqa: PLR2004 - three different pictures
        raise FontMissing(f"no text appears in pictures with the fonts {', '.join(fonts())}")


def _letter(text: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><rect width="24" height="24" fill="#fff"/>'
        f'<text x="4" y="20" font-family="{FAMILY}" font-size="18" fill="#000">{text}</text></svg>'
    )


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end."""
    while head := requests.read(LENGTH.size):
        svg = requests.read(LENGTH.unpack(head)[0])
        try:
            answer = DRAWN + render(svg.decode())
        except (ValueError, FontMissing) as error:
            answer = REFUSED + str(error).encode()
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def die_with_parent() -> None:
    """Have the system end this process with the daemon: one that hangs would not see that its input has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    die_with_parent()
    serve(sys.stdin.buffer, sys.stdout.buffer)
