"""Numbers as a source prints them: equal to every value that rounds to the same digits."""

from decimal import ROUND_HALF_EVEN, Decimal


class Printed:
    """``value == Printed("4.420360e-15")`` compares in every printed digit, no more and no less."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, value: object) -> bool:
        shown = Decimal(self.text)
        return Decimal(float(value)).quantize(shown, rounding=ROUND_HALF_EVEN) == shown

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"printed as {self.text}"
