"""Twins: what stands in for a function of ``compute`` where contents are phantoms.

At phantom fidelity nobody needs the bytes of a share, only their number, whose they are and whether
they are intact. For every function that actors reach through ``compute`` with contents, a twin is
registered that does to phantoms what the function does to bytes. Actors cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tahoe.sim.prices import plain

T = TypeVar("T", bound=Callable[..., Any])

_twins: dict[Any, Callable[..., Any]] = {}


def register_twin(function: Callable[..., Any], twin: Callable[..., Any]) -> None:
    """Let ``twin`` stand in for ``function``. A method's twin takes ``self`` first."""
    _twins[plain(function)] = twin


def twin_of(function: T) -> T:
    """The twin of a function or bound method, or the function itself where it has none."""
    twin = _twins.get(plain(function))
    if twin is None:
        return function
    owner = getattr(function, "__self__", None)
    return twin if owner is None else twin.__get__(owner)  # type: ignore[return-value]  # a twin has the shape of what it stands in for
