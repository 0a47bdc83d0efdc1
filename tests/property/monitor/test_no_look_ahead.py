"""What comes later changes nothing before: no value of any function, no transition of any rule."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, SERIES, Batch
from monitor.backtest import SESSIONS, Backtest, Playback, Recording, Tempo, intraday
from monitor.calendar import MINUTE, TradingCalendar
from rules.load import load_texts
from rules.transition import Reason

SYMBOLS = ("AA", "BB", "CC", "DD")
DAILY = """
universes: {all: [AA, BB, CC, DD]}
baskets: {pair: [AA, BB]}
groups:
  - name: sessions
    rules:
      - {alert: streak, when: "streak(ret(AA, 1d) > ret(BB, 1d)) >= 2", keep_firing_for: 3h}
      - {alert: unusual, when: "abs_z > 0.8", until: "abs_z < 0", for: 2h}
      - {record: abs_z, value: "zscore(excess(pair, CC, 2d), 6d)"}
      - {alert: mostly, when: "held(ret(DD, 1d) > 0, 3, 5d)"}
      - {alert: after, when: "then(ret(AA, 2d) > 1%, ret(AA, 1d) < 0, 4d)"}
      - {alert: first, each: all, when: "rank(it, all, ret(it, 3d)) == 1 and percentile(price(it), 5d) > 50%"}
      - {alert: published, when: "value(discount) > 28"}
      - {record: rest, value: "median(vol(CC, 4d), 3d) - drawdown(AA, 5d)"}
      - {record: fit, value: "beta(AA, BB, 5d) + corr(AA, CC, 5d) + zscore(slope(ret(BB, 1d), 4d), 4d)"}
      - {record: traded, value: "rel_volume(AA, 3d) + change(rs_ratio(AA, BB, 5d), 1d) + ema(ratio(CC, DD), 2d)"}
"""
MINUTES = """
universes: {all: [AA, BB, CC, DD]}
groups:
  - name: minutes
    rules:
      - {alert: swing, when: "zscore(ret(AA, 5m), 20m) > 1.2", until: "zscore(ret(AA, 5m), 20m) < 0", for: 2m,
         keep_firing_for: 3m}
      - {alert: mostly, when: "held(ret(BB, 5m) > 0, 6, 10m)", on_close: resolve}
      - {alert: after, when: "then(ret(CC, 10m) > 10bp, ret(CC, 2m) < 0, 15m)"}
      - {alert: first, each: all, when: "rank(it, all, ret(it, open)) == 1 and age(it) < 5m", for: 5m}
      - {alert: nested, when: "mean(mean(ret(AA, 5m), 10m), 2d) > 0"}
      - {alert: busy, when: "volume(DD, 10m) > mean(volume(DD, 10m), 20m) or rel_volume(DD, 1d) > 1"}
      - {record: rest, value: "ema(price(AA), 5m) - median(price(AA), 10m) + change(price(AA), 3m)"}
"""
FIRST = dt.date(2025, 11, 26)
"""Before a holiday and a half day."""


@cache
def calendar() -> TradingCalendar:
    return TradingCalendar("XNYS")


@cache
def ruleset(text):
    loaded = load_texts({"r.yaml": text})
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def bars(ends, length, seed, gaps=0.05):
    generator, rows = np.random.default_rng(seed), []
    for symbol in SYMBOLS:
        prices = 100 * np.exp(np.cumsum(generator.normal(0, 0.01 if length > MINUTE else 0.001, len(ends))))
        volumes = generator.integers(1, 1_000, len(ends)).astype(float)
        for end, price, volume in zip(ends, prices, volumes, strict=True):
            if generator.random() >= gaps:
                rows.append((end - length, end, symbol, price, price, price, price, volume))
    names = ("ts", "end", "symbol", "open", "high", "low", "close", "volume")
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.sort("end", "symbol", maintain_order=True).select(BARS.names()).cast(dict(BARS))


@cache
def of_sessions(seed):
    first = calendar().ordinal_on_or_before(FIRST)
    return bars([calendar().close_ns(s) for s in range(first, first + 30)], 390 * MINUTE, seed)


@cache
def of_minutes(seed):
    first = calendar().ordinal_on_or_before(FIRST)
    sessions = range(first, first + 3)
    closes = map(calendar().close_ns, sessions)
    return bars([end for close in closes for end in range(close - 40 * MINUTE, close + 1, MINUTE)], MINUTE, seed)


def published(seed):
    """A monthly figure that is known some weeks after the month that it describes."""
    generator = np.random.default_rng(seed)
    close = calendar().close_ns(calendar().ordinal_on_or_before(FIRST))
    rows = [(close + int(d * 86_400e9), "discount", float(generator.uniform(25, 31))) for d in (-20, 9.3, 40.1)]
    return pl.DataFrame(rows, schema=dict(SERIES), orient="row")


def played(text, frame, series, tempo: Tempo, until):
    """Transitions, and the values of everything that the rules are made of, by time."""
    instants = frame.group_by(pl.col("end").to_physical(), maintain_order=True)
    by_time = [Batch("f", int(end), bars=rows) for (end,), rows in instants]
    recording = Recording([b for b in by_time if b.received_at <= until], tempo.stale_after_ns, NO_HISTORY, series)
    test = Backtest(ruleset(text), calendar(), tempo)
    values = {}
    test.engine.observer = lambda now, found: values.__setitem__(now, found.copy())
    playback = Playback(recording, calendar(), test.engine.requirements)
    return list(test.transitions(playback.instants(0, until))), values


NO_HISTORY = pl.DataFrame(schema={"ts": pl.Date, "symbol": pl.String, "open": pl.Float64, "close": pl.Float64})
CASES = {"sessions": (DAILY, of_sessions, SESSIONS), "minutes": (MINUTES, of_minutes, intraday(MINUTE))}


@cache
def whole(case, seed):
    text, frame, tempo = CASES[case]
    found = played(text, frame(seed), published(seed), tempo, 2**62)
    assert found[0], "no rule ever fires"
    return found


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.integers(0, 2), st.floats(0.02, 0.98))
def test_what_is_cut_off_changes_nothing_before(case, seed, part):
    text, make, tempo = CASES[case]
    frame = make(seed)
    ends = sorted(set(frame["end"].to_physical().to_list()))
    until = ends[int(part * len(ends))]
    transitions, values = whole(case, seed)
    series = published(seed).filter(pl.col("ts").to_physical() <= until)
    cut, cut_values = played(text, frame, series, tempo, until)
    # What a close does is decided at the first evaluation after it, and dated at the close.
    decided = [t for t in transitions if t.at < until or (t.at == until and t.reason is not Reason.MARKET_CLOSED)]
    assert cut == decided
    assert list(cut_values) == [now for now in values if now <= until]
    for now, found in cut_values.items():
        np.testing.assert_array_equal(found, values[now])


def test_a_monthly_series_is_used_from_its_publication_only():
    transitions, values = whole("sessions", 0)
    times = published(0)["ts"].to_physical().to_list()
    test = Backtest(ruleset(DAILY), calendar(), SESSIONS)
    rule = next(r for r in test.engine.ruleset.alerts if r.name == "published")
    (slot,) = test.engine.slots([(rule.when.expr.left, None)])
    for now, found in values.items():
        known = [v for t, v in zip(times, published(0)["value"], strict=True) if t <= now]
        assert found[slot] == known[-1]
    assert transitions
