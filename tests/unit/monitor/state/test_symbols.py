from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from monitor.state.symbols import SymbolIndex


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
@pytest.mark.parametrize("rows", [3, 3000])
def test_short_and_long_columns_of_either_type_get_the_same_codes(dtype, rows):
    index = SymbolIndex()
    rng = np.random.default_rng(7)
    expected: dict[str, int] = {}
    for known in (40, 700, 5000, 300):
        names = [f"S{n}" for n in rng.integers(0, known, rows)]
        codes = index.codes_of(pl.Series(names, dtype=dtype)).tolist()
        for name, code in zip(names, codes, strict=True):
            assert expected.setdefault(name, code) == code
    assert index.symbols() == sorted(expected, key=expected.__getitem__)
    assert len(index) == len(set(expected.values()))


def test_a_symbol_seen_in_a_short_column_keeps_its_code_in_a_long_one():
    index = SymbolIndex()
    few = index.codes(("SPY", "IWM"))
    many = index.codes_of(pl.Series(["IWM", "SPY", "QQQ"] * 500))
    assert many[:3].tolist() == [few[1], few[0], 2]


def test_an_empty_column_has_no_codes():
    index = SymbolIndex()
    assert index.codes_of(pl.Series([], dtype=pl.Categorical)).tolist() == []
    assert index.codes_of(pl.Series([], dtype=pl.String)).tolist() == []
