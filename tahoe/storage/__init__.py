"""Stores of shares: the interface, and what implements it on disk, in memory and badly on purpose."""
