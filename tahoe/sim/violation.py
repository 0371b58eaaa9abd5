"""Violation: what an oracle of the swarm says."""

from __future__ import annotations


class Violation(AssertionError):
    """Something happened which must not."""
