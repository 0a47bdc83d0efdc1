"""The rule language on session closes, a second time: written from its contract alone, slow and plain.

Nothing here comes from the engine but the checked syntax tree. Every value is computed afresh from the whole table of
closes, one session and one window at a time, with numpy and pandas.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rules import ast

QUORUM = 0.8
ULP = 1e-9
YEAR = 252
MINUTE = 60_000_000_000


@dataclass
class Market:
    """`closes` and `volumes`: (sessions, instruments), NaN where an instrument did not trade. `series`: the value known
    at each session's close, (sessions,)."""

    dates: list[dt.date]
    closes: pd.DataFrame
    volumes: pd.DataFrame = field(default_factory=pd.DataFrame)
    series: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        self.known = {}

    @property
    def length(self):
        return len(self.dates)

    # --- windows ------------------------------------------------------------------------------------------------------

    def start(self, t, window):
        """The session at whose close a window ends its past, -1 where it is before the stored history."""
        today = self.dates[t]
        match window:
            case ast.Sessions(count=count):
                return t - count if t >= count else -1
            case ast.Since(date=date):
                before = [s for s in range(t) if self.dates[s] <= date < today]
            case ast.Word.WTD:
                monday = today - dt.timedelta(days=today.weekday())
                before = [s for s in range(t) if self.dates[s] < monday]
            case ast.Word.MTD:
                before = [s for s in range(t) if self.dates[s] < today.replace(day=1)]
            case ast.Word.QTD:
                first = today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1)
                before = [s for s in range(t) if self.dates[s] < first]
            case ast.Word.YTD:
                before = [s for s in range(t) if self.dates[s] < today.replace(month=1, day=1)]
            case _:
                raise NotImplementedError(window)
        return before[-1] if before else -1

    def ret(self, asset, t, window):
        start = self.start(t, window)
        if start < 0:
            return math.nan
        if isinstance(asset, ast.Instrument):
            prices = self.closes[asset.symbol].to_numpy()
            return prices[t] / prices[start] - 1
        members = [(w, self.ret(ast.Instrument(s), t, window)) for s, w in asset.weights]
        return weighted(members)

    def price(self, asset, t):
        if isinstance(asset, ast.Instrument):
            return self.closes[asset.symbol].to_numpy()[t]
        members = []
        for symbol, weight in asset.weights:
            prices = self.closes[symbol].to_numpy()
            first = next((s for s in range(t) if not math.isnan(prices[s])), None)
            members.append((weight, math.nan if first is None else prices[t] / prices[first] - 1))
        return 100 * (1 + weighted(members))

    # --- expressions --------------------------------------------------------------------------------------------------

    def values(self, expr, it=None):
        """The expression at every session's close, (sessions,) float64: conditions are 1, 0 and NaN."""
        key = (expr, it)
        if key not in self.known:
            self.known[key] = np.array([float(v) for v in self._values(expr, it)])
        return self.known[key]

    def _values(self, expr, it):
        every = range(self.length)
        match expr:
            case ast.Literal(value=value):
                return [value] * self.length
            case ast.Negate(operand=operand):
                return -self.values(operand, it)
            case ast.RecordRef(value=value):
                return self.values(value)
            case ast.Not(operand=operand):
                return 1 - self.values(operand, it)
            case ast.Logic(op=op, operands=operands):
                columns = [self.values(o, it) for o in operands]
                return [(all_of if op == "and" else any_of)([c[t] for c in columns]) for t in every]
            case ast.Arithmetic(op=op, left=left, right=right) | ast.Comparison(op=op, left=left, right=right):
                a, b = self.values(left, it), self.values(right, it)
                return [operation(op, a[t], b[t]) for t in every]
            case ast.Call(function=function, args=args):
                bound = [it if isinstance(a, ast.It) else a for a in args]
                return getattr(self, "f_" + function)(*bound, it=it)
        raise NotImplementedError(expr)

    def count(self, window):
        """How many samples a window has."""
        return window.count

    def over(self, samples, window, function, *, before=False, times=1):
        """`function` of the last samples of a column at each session; NaN under 80 % of them."""
        count = self.count(window) * times
        found = []
        for t in range(self.length):
            stop = t if before else t + 1
            if stop - count < 0:
                found.append(math.nan)
                continue
            sample = samples[stop - count : stop]
            enough = (~np.isnan(sample)).sum() >= QUORUM * count - ULP
            found.append(function(sample, samples[t]) if enough else math.nan)
        return np.array(found)

    # --- of an instrument

    def f_price(self, x, it):
        return [self.price(x, t) for t in range(self.length)]

    def f_ret(self, x, w, it):
        return [self.ret(x, t, w) for t in range(self.length)]

    def f_excess(self, x, y, w, it):
        return [self.ret(x, t, w) - self.ret(y, t, w) for t in range(self.length)]

    def f_ratio(self, x, y, it):
        return [self.price(x, t) / self.price(y, t) for t in range(self.length)]

    def so_far(self, symbol):
        """Volume of the session in progress: nothing, where an instrument that traded before has not traded yet."""
        volumes = self.volumes[symbol]
        return volumes.fillna(0.0).where(volumes.notna().cumsum() > 0).to_numpy()

    def f_volume(self, x, w, it):
        assert isinstance(x, ast.Instrument)
        volumes, now = self.volumes[x.symbol].to_numpy(), self.so_far(x.symbol)
        samples = (np.append(volumes[:t], now[t])[-w.count :] for t in range(self.length))
        return [
            np.nansum(s) if len(s) == w.count and (~np.isnan(s)).sum() >= QUORUM * w.count - ULP else math.nan
            for s in samples
        ]

    def f_rel_volume(self, x, w, it):
        assert isinstance(x, ast.Instrument)
        volumes = self.volumes[x.symbol].to_numpy()
        return self.so_far(x.symbol) / self.over(volumes, w, lambda s, _: np.nanmean(s), before=True)

    # --- of samples

    def f_mean(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: np.nanmean(s))

    def f_std(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: deviation(s))

    def f_min(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: np.nanmin(s))

    def f_max(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: np.nanmax(s))

    def f_sum(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: np.nansum(s))

    def f_median(self, e, w, it):
        return self.over(self.values(e, it), w, lambda s, _: np.nanmedian(s))

    def f_ema(self, e, w, it):
        def mean(sample, _):
            known = pd.Series(sample).dropna()
            return known.ewm(alpha=2 / (self.count(w) + 1), adjust=False).mean().iloc[-1]

        return self.over(self.values(e, it), w, mean, times=4)

    def f_slope(self, e, w, it):
        def slope(sample, _):
            known = ~np.isnan(sample)
            x = np.arange(len(sample))[known]
            return np.polyfit(x, sample[known], 1)[0] if known.sum() > 1 else math.nan

        return self.over(self.values(e, it), w, slope)

    def ago(self, column, w):
        return np.array([column[t - w.count] if t >= w.count else math.nan for t in range(self.length)])

    def f_change(self, e, w, it):
        return self.values(e, it) - self.ago(self.values(e, it), w)

    def f_zscore(self, e, w, it):
        def score(sample, now):
            spread = deviation(sample)
            flat = math.isnan(spread) or spread <= abs(np.nanmean(sample)) * 1e-14
            return math.nan if flat else (now - np.nanmean(sample)) / spread

        return self.over(self.values(e, it), w, score, before=True)

    def f_percentile(self, e, w, it):
        def place(sample, now):
            known = sample[~np.isnan(sample)]
            return math.nan if math.isnan(now) else ((known < now).sum() + (known == now).sum() / 2) / len(known)

        return self.over(self.values(e, it), w, place, before=True)

    def crosses(self, op, e, level, w, it):
        beyond = self.values(ast.Comparison(op, e, level), it)
        return beyond * (1 - self.ago(beyond, w))

    def f_crosses_above(self, e, level, w, it):
        return self.crosses(">", e, level, w, it)

    def f_crosses_below(self, e, level, w, it):
        return self.crosses("<", e, level, w, it)

    def f_streak(self, c, it):
        holds, run, found = self.values(c, it), 0, []
        for now in holds:
            run = run + 1 if now == 1 else 0
            found.append(math.nan if math.isnan(now) else min(run, 260))
        return found

    def f_held(self, c, k, w, it):
        return self.over(self.values(c, it), w, lambda s, _: float((s == 1).sum() >= k.value))

    def f_then(self, c1, c2, w, it):
        before = self.over(self.values(c1, it), w, lambda s, _: float((s == 1).any()), before=True)
        now = self.values(c2, it)
        warm = self.over(self.values(c1, it), w, lambda s, _: 1.0, before=True)
        return [math.nan if math.isnan(u) else all_of([b, n]) for b, n, u in zip(before, now, warm, strict=True)]

    # --- of returns and prices

    def daily(self, x):
        return np.array([self.ret(x, t, ast.Sessions(1)) for t in range(self.length)])

    def f_vol(self, x, w, it):
        return self.over(self.daily(x), w, lambda s, _: deviation(s) * math.sqrt(YEAR))

    def pairs(self, x, y, w, function):
        a, b = self.daily(x), self.daily(y)
        both = np.where(np.isnan(a) | np.isnan(b), np.nan, np.arange(self.length, dtype=float))
        return self.over(both, w, lambda s, _: function(*(v[s[~np.isnan(s)].astype(int)] for v in (a, b))))

    def f_beta(self, x, y, w, it):
        def beta(a, b):
            return math.nan if np.ptp(b) == 0 else np.cov(a, b, ddof=1)[0, 1] / np.var(b, ddof=1)

        return self.pairs(x, y, w, beta)

    def f_corr(self, x, y, w, it):
        def corr(a, b):
            return math.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else np.corrcoef(a, b)[0, 1]

        return self.pairs(x, y, w, corr)

    def f_drawdown(self, x, w, it):
        prices = np.array(self.f_price(x, it))
        return prices / self.over(prices, w, lambda s, _: np.nanmax(s)) - 1

    # --- across members

    def across(self, u, expressions, function):
        columns = [[self.values(e, m) for m in u.members] for e in expressions]
        found = []
        for t in range(self.length):
            rows = np.array([[c[t] for c in column] for column in columns])
            known = rows[:, ~np.isnan(rows).any(axis=0)]
            enough = known.shape[1] >= QUORUM * len(u.members) - ULP
            found.append(function(*known) if enough else math.nan)
        return np.array(found)

    def f_count(self, u, c, it):
        return self.across(u, [c], np.sum)

    def f_share(self, u, c, it):
        return self.across(u, [c], np.mean)

    def f_avg(self, u, e, it):
        return self.across(u, [e], np.mean)

    def f_med(self, u, e, it):
        return self.across(u, [e], np.median)

    def f_stdev(self, u, e, it):
        return self.across(u, [e], deviation)

    def f_best(self, u, e, it):
        return self.across(u, [e], np.max)

    def f_worst(self, u, e, it):
        return self.across(u, [e], np.min)

    def f_spread(self, u, e, it):
        return self.across(u, [e], np.ptp)

    def f_rank(self, x, u, e, it):
        own = self.values(e, x)
        columns = np.array([self.values(e, m) for m in u.members])
        found = []
        for t in range(self.length):
            known = columns[:, t][~np.isnan(columns[:, t])]
            enough = len(known) >= QUORUM * len(u.members) - ULP and not math.isnan(own[t])
            found.append(1 + (known > own[t]).sum() if enough else math.nan)
        return found

    def f_rank_corr(self, u, e1, e2, it):
        def spearman(a, b):
            if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
                return math.nan
            return np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1]

        return self.across(u, [e1, e2], spearman)

    # --- of leadership

    def normal(self, column, w):
        """100 + the distance from the mean of the last samples, the current one included, in their deviations."""
        mean = self.over(column, w, lambda s, _: np.nanmean(s))
        std = self.over(column, w, lambda s, _: deviation(s))
        return 100 + (column - mean) / np.where(std <= np.abs(mean) * 1e-14, np.nan, std)

    def f_rs_ratio(self, x, y, w, it):
        return self.normal(np.array([100 * self.price(x, t) / self.price(y, t) for t in range(self.length)]), w)

    def f_rs_momentum(self, x, y, w, it):
        ratio = self.f_rs_ratio(x, y, w, it)
        before = self.ago(ratio, ast.Clock(MINUTE) if isinstance(w, ast.Clock) else ast.Sessions(1))
        return self.normal((ratio - before) / before, w)

    def f_quadrant(self, x, y, w, it):
        names = {(True, True): 0, (True, False): 1, (False, False): 2, (False, True): 3}
        both = zip(self.f_rs_ratio(x, y, w, it), self.f_rs_momentum(x, y, w, it), strict=True)
        return [math.nan if math.isnan(r + m) else names[r >= 100, m >= 100] for r, m in both]

    def f_reversal(self, x, y, long, short, by, it):
        margin = self.values(by, it)
        led = self.ago(np.array(self.f_excess(x, y, long, it)), short)
        trails = np.array(self.f_excess(x, y, short, it))
        return [
            all_of([operation(">", led[t], margin[t]), operation("<", trails[t], -margin[t])])
            for t in range(self.length)
        ]

    def f_value(self, series, it):
        return self.series[series.name]


def weighted(members):
    """Weighted mean of the known, NaN where they are under 80 % of the weight."""
    known = [(w, v) for w, v in members if not math.isnan(v)]
    whole, present = sum(w for w, _ in members), sum(w for w, _ in known)
    return sum(w * v for w, v in known) / present if present >= QUORUM * whole - ULP else math.nan


def deviation(sample):
    """Standard deviation of the known, ddof 1."""
    known = sample[~np.isnan(sample)]
    return np.std(known, ddof=1) if len(known) > 1 else math.nan


def all_of(values):
    """Kleene's and."""
    if any(v == 0 for v in values):
        return 0.0
    return math.nan if any(math.isnan(v) for v in values) else 1.0


def any_of(values):
    """Kleene's or."""
    if any(v == 1 for v in values):
        return 1.0
    return math.nan if any(math.isnan(v) for v in values) else 0.0


OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def operation(op, a, b):
    """Unknown where one side is."""
    return math.nan if math.isnan(a) or math.isnan(b) else float(OPERATIONS[op](a, b))
