"""Prices from an MQTT broker, 3.1.1 or 5: a documented layout of topics, and others by a mapping."""

from connectors.mqtt.feed import MqttFeed
from connectors.mqtt.layout import ForeignLayout
from connectors.mqtt.transport import MqttOptions, opener

__all__ = ["ForeignLayout", "MqttFeed", "MqttOptions", "opener"]
