"""Rows: what a study of twins is kept as: a line for each law, and one for each operation with both of its outcomes."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.twinning.plan import Outcome

LAW = "law"


@dataclass(frozen=True, slots=True)
class Row:
    """An operation and its twin, or a law.

    Args:
        round: in which it was.
        act: throughput, crowd, preparation, killed or frozen; or law.
        name: of the file, or of the law.
        kind: get or put.
        ill: how many servers were killed or frozen then.
        size: bytes of the file.
        at_once: how many operations of its act were under way together.
        live: seconds that it took the processes.
        live_succeeded: within the deadline.
        simulated: seconds that it took the simulator's.
        simulated_succeeded: within the deadline.
        value: of a law.
    """

    round: int
    act: str
    name: str
    kind: str = ""
    ill: int = 0
    size: int = 0
    at_once: int = 0
    live: float = 0.0
    live_succeeded: bool = False
    simulated: float = 0.0
    simulated_succeeded: bool = False
    value: float = 0.0

    @classmethod
    def of_law(cls, number: int, name: str, value: float) -> Row:
        """A law of a round."""
        return cls(number, LAW, name, value=value)

    @classmethod
    def of_pair(cls, number: int, lived: Outcome | None, predicted: Outcome) -> Row:
        """An operation of a round; without a live outcome, if there was no live grid."""
        what = predicted.operation
        assert lived is None or lived.operation == what, "twins go through the plan in step"
        return cls(
            number, what.act, what.name, what.kind, what.ill, what.size, what.at_once,
            0.0 if lived is None else lived.seconds, lived is not None and lived.succeeded,
            predicted.seconds, predicted.succeeded,
        )  # fmt: skip
