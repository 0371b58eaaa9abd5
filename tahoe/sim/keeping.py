"""Twins of ``actors/shareproof.py`` and ``actors/recoding.py``: proving and making shares whose blocks are phantoms.

Trees, chains and UEB are real even at phantom fidelity, so only what touches blocks has a twin.
"""

from __future__ import annotations

from typing import Any

from tahoe.actors import recoding, shareproof
from tahoe.actors.recoding import Recoder, RepairPlan
from tahoe.actors.shareproof import compare_blocks
from tahoe.codec.verification import ShareFrame
from tahoe.sim.coding import coded_block, leaf_of
from tahoe.sim.phantom import Content
from tahoe.sim.prices import HOP, SHA256, Price, register_price
from tahoe.sim.twins import register_twin


class PhantomRecoder(Recoder):
    """Makes missing phantom shares."""

    def _encode(self, segment: int, ciphertext: Any) -> dict[int, Any]:
        return {number: coded_block(self.parameters, segment, ciphertext, number) for number in self.hashed}

    def _segment_hash(self, ciphertext: Any) -> bytes:
        fingerprint: bytes = ciphertext.fingerprint
        return fingerprint

    def _block_hash(self, number: int, block: Any) -> bytes:
        return leaf_of(block)


def prove_blocks(frame: ShareFrame, first: int, data: Content) -> str:
    """Compare consecutive phantom blocks with the frame."""
    return compare_blocks(frame, first, data, leaf_of)  # type: ignore[arg-type]  # contents of the simulator are wider


def begin_recoding(plan: RepairPlan) -> Recoder:
    """Begin to make missing shares."""
    return PhantomRecoder(plan)


def register() -> None:
    """Let the twins stand in wherever a node computes with phantoms, and say what all of it costs. Idempotent."""
    register_twin(shareproof.prove_blocks, prove_blocks)
    register_twin(recoding.begin_recoding, begin_recoding)
    register_price(shareproof.prove_frame, Price(call=2 * HOP))
    register_price(shareproof.prove_blocks, Price(byte=SHA256))
    register_price(recoding.recode_segment, Price(byte=0.2e-9 + 2 * SHA256))
    register_price(recoding.finish_recoding, Price(call=150e-6))
