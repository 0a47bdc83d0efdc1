"""A trading calendar, and how a picture is looked at."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from monitor.calendar import TradingCalendar

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="session")
def calendar():
    return TradingCalendar("XNYS")


@pytest.fixture
def texts():
    """Every text of an SVG, which must be well-formed."""

    def read(svg):
        return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")]

    return read


def pixels(png):
    """A PNG of 8 bits and four channels as (height, width, 4) uint8, by its specification."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, width, height = 8, b"", 0, 0
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 6)
        elif kind == b"IDAT":
            data += body
        at += length + 12
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 4 * width)
    image = np.zeros((height + 1, width + 1, 4), np.int64)
    for y in range(height):
        kind, line = int(rows[y, 0]), rows[y, 1:].reshape(width, 4)
        for x in range(width):
            left, up, corner = image[y + 1, x], image[y, x + 1], image[y, x]
            match kind:
                case 0:
                    guess = 0
                case 1:
                    guess = left
                case 2:
                    guess = up
                case 3:
                    guess = (left + up) // 2
                case _:
                    p = left + up - corner
                    a, b, c = abs(p - left), abs(p - up), abs(p - corner)
                    guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
            image[y + 1, x + 1] = (line[x] + guess) & 255
    return image[1:, 1:].astype(np.uint8)


@pytest.fixture(name="pixels")
def _pixels():
    return pixels
