"""The rolling state of the market, and the views that rules are evaluated on."""

from monitor.state.bars import MINUTE_BARS, SESSION_BARS
from monitor.state.checkpoint import CHECKPOINT, MINUTE_COLUMNS, QUOTES, SESSION_COLUMNS, RestoreError
from monitor.state.intake import PriceSource
from monitor.state.market import MarketState
from monitor.state.market_data import MarketData
from monitor.state.volumes import by_minute

__all__ = [
    "CHECKPOINT",
    "MINUTE_BARS",
    "MINUTE_COLUMNS",
    "QUOTES",
    "SESSION_BARS",
    "SESSION_COLUMNS",
    "MarketData",
    "MarketState",
    "PriceSource",
    "RestoreError",
    "by_minute",
]
