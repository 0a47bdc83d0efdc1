"""An exchange of our own: a seeded scenario, played over a vendor's websocket protocol on loopback.

>>> scenario = great_rotation(sessions)                      # doctest: +SKIP
>>> async with Exchange(scenario) as exchange: ...           # doctest: +SKIP
"""

from connectors.simulator.exchange import DEMO_QUIET_SPEED, DEMO_SPEED, Exchange, ExchangeOptions
from connectors.simulator.great_rotation import great_rotation
from connectors.simulator.scenario import Scenario, Session, Tape

__all__ = [
    "DEMO_QUIET_SPEED",
    "DEMO_SPEED",
    "Exchange",
    "ExchangeOptions",
    "Scenario",
    "Session",
    "Tape",
    "great_rotation",
]
