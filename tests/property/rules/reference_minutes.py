"""The rule language on minute bars, a second time: as on session closes, with samples of two kinds.

A column of values is first those at every minute of regular trading (the grid), then those at every session's close,
where windows of sessions have their samples: a close is a price however old it was, a price of the grid is unknown
after 15 minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rules import ast
from tests.property.rules.reference import QUORUM, ULP, Market, weighted

MINUTE = 60_000_000_000
STALE = 15 * MINUTE


@dataclass
class MinuteMarket(Market):
    """`bars`: ``end`` (UTC ns), ``symbol, open, close, volume``; `opens` and `ends`: of each session, UTC ns.

    `dates` are the sessions'. `closes` and `volumes` are left empty: they come from the bars.
    """

    bars: pd.DataFrame = field(default_factory=pd.DataFrame)
    opens: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        self.grid = np.concatenate(
            [np.arange(o + MINUTE, e + 1, MINUTE) for o, e in zip(self.opens, self.ends, strict=True)]
        )
        self.now = np.concatenate([self.grid, self.ends])
        self.session = np.searchsorted(self.ends, self.now)
        self.minute = np.searchsorted(self.grid, self.now)
        self.of = {
            symbol: {name: column.to_numpy() for name, column in rows.sort_values("end").items()}
            for symbol, rows in self.bars.groupby("symbol")
        }
        self.begun = self.bars["end"].min() - MINUTE
        self.last = {symbol: self.prices(symbol) for symbol in self.of}

    @property
    def length(self):
        return len(self.now)

    def closed(self, symbol, session):
        """Last price of a session; NaN without a trade."""
        price, then = self.at(symbol, self.ends[session])
        return price if then > (self.ends[session - 1] if session else 0) else math.nan

    def at(self, symbol, ns):
        """The last price at or before a time, and its own time."""
        rows = self.of[symbol]
        place = np.searchsorted(rows["end"], ns, side="right") - 1
        return (rows["close"][place], rows["end"][place]) if place >= 0 else (math.nan, 0)

    def prices(self, symbol):
        found = []
        for ns in self.grid:
            price, then = self.at(symbol, ns)
            found.append(price if ns - then <= STALE else math.nan)
        return np.array(found + [self.closed(symbol, s) for s in range(len(self.dates))])

    # --- windows ------------------------------------------------------------------------------------------------------

    def count(self, window):
        return max(1, -(-window.ns // MINUTE)) if isinstance(window, ast.Clock) else window.count

    def earlier(self, column, i, window, count):
        """So many samples before the value at `i`; None where there are fewer."""
        if isinstance(window, ast.Clock):
            stop = self.minute[i]
            return column[stop - count : stop] if stop >= count else None
        stop = len(self.grid) + self.session[i]
        return column[stop - count : stop] if self.session[i] >= count else None

    def over(self, samples, window, function, *, before=False, times=1):
        count, found = self.count(window) * times, []
        for i, now in enumerate(samples):
            past = self.earlier(samples, i, window, count if before else count - 1)
            if past is None:
                found.append(math.nan)
                continue
            sample = past if before else np.append(past, now)
            enough = (~np.isnan(sample)).sum() >= QUORUM * count - ULP
            found.append(function(sample, now) if enough else math.nan)
        return np.array(found)

    def ago(self, column, w):
        pasts = [self.earlier(column, i, w, self.count(w)) for i in range(self.length)]
        return np.array([math.nan if past is None else past[0] for past in pasts])

    def ret(self, asset, t, window):
        if not isinstance(asset, ast.Instrument):
            return weighted([(w, self.ret(ast.Instrument(s), t, window)) for s, w in asset.weights])
        symbol, session = asset.symbol, self.session[t]
        if isinstance(window, ast.Clock):
            base, _ = self.at(symbol, self.now[t] - window.ns)
        elif window is ast.Word.OPEN:
            base = self.opened(symbol, t)
        else:
            start = self.start(session, window)
            base = math.nan if start < 0 else self.closed(symbol, start)
        return self.last[symbol][t] / base - 1

    def opened(self, symbol, t):
        """The first price of regular trading in the session, where there was one by now."""
        rows, session = self.of[symbol], self.session[t]
        place = np.searchsorted(rows["end"], self.opens[session], side="right")
        seen = place < len(rows["end"]) and rows["end"][place] <= self.now[t]
        return rows["open"][place] if seen else math.nan

    def price(self, asset, t):
        if isinstance(asset, ast.Instrument):
            return self.last[asset.symbol][t]
        members = []
        for symbol, weight in asset.weights:
            closes = self.last[symbol][len(self.grid) :][: self.session[t]]
            known = closes[~np.isnan(closes)]
            members.append((weight, self.last[symbol][t] / known[0] - 1 if len(known) else math.nan))
        return 100 * (1 + weighted(members))

    # --- functions ----------------------------------------------------------------------------------------------------

    def f_streak(self, c, it):
        holds, found = self.values(c, it), []
        for i, now in enumerate(holds):
            run, session = 0, self.session[i]
            while now == 1 and run < session and holds[len(self.grid) + session - 1 - run] == 1:
                run += 1
            found.append(math.nan if math.isnan(now) else run + 1 if now == 1 else 0)
        return found

    def f_age(self, x, it):
        found = []
        for i, ns in enumerate(self.now):
            _, then = self.at(x.symbol, ns)
            closed = i >= len(self.grid)
            if closed:  # how old a close was is not kept
                found.append(math.nan if math.isnan(self.last[x.symbol][i]) else 0)
            else:
                found.append(ns - then if then else math.nan)
        return found

    def traded(self, symbol, after, upto):
        rows = self.of[symbol]
        return rows["volume"][(rows["end"] > after) & (rows["end"] <= upto)].sum()

    def f_volume(self, x, w, it):
        first, found = self.of[x.symbol]["end"][0], []
        for i, ns in enumerate(self.now):
            session = self.session[i]
            if isinstance(w, ast.Clock):
                start = ns - self.count(w) * MINUTE
                covered = ns - max(start, first - MINUTE)
                known = start >= self.begun and covered >= QUORUM * (ns - start)
            else:
                begin = session if w is ast.Word.OPEN else session - w.count + 1
                start = self.ends[begin - 1] if begin > 0 else 0
                past = sum(not math.isnan(self.closed(x.symbol, s)) for s in range(max(begin, 0), session))
                so_far = i < len(self.grid) or not math.isnan(self.last[x.symbol][i])
                known = begin >= 0 and past + so_far >= QUORUM * (session - begin + 1) - ULP
            found.append(self.traded(x.symbol, start, ns) if known and first <= ns else math.nan)
        return found

    def f_rel_volume(self, x, w, it):
        found = []
        for i, ns in enumerate(self.now):
            session = self.session[i]
            passed, past = ns - self.opens[session], []
            for s in range(session - w.count, session):
                if s < 0 or math.isnan(self.closed(x.symbol, s)):
                    past.append(math.nan)
                    continue
                upto = self.ends[s] if ns == self.ends[session] else min(self.opens[s] + passed, self.ends[s])
                past.append(self.traded(x.symbol, self.ends[s - 1] if s else 0, upto))
            known = [v for v in past if not math.isnan(v)]
            good = session >= w.count and len(known) >= QUORUM * w.count - ULP and sum(known) > 0
            so_far = self.traded(x.symbol, self.ends[session - 1] if session else 0, ns)
            found.append(so_far / np.mean(known) if good else math.nan)
        return found
