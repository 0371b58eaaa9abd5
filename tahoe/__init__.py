"""Tahoe: a secure, decentralised storage grid over MQTT, and a laboratory for it."""

__version__ = "0.1.0"
