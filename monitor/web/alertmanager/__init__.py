"""The Alertmanager API, version 2, so that amtool, karma and Prometheus work against the monitor unchanged."""
