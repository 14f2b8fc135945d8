"""A number that the user types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from dkl_ae.records import UserError


@dataclasses.dataclass(frozen=True)
class NumberField:
    """convert: int for a whole number."""

    name: str
    label: str
    unit: str
    tool_tip: str
    convert: Callable[[str], float] = float

    def parse(self, text: str, example: str) -> float:
        """Raises UserError, one sentence with the example, for what is no such number."""
        try:
            return self.convert(text.strip())
        except ValueError:
            kind = "a whole number" if self.convert is int else "a number"
            raise UserError(f"The {self.label.lower()} is '{text}': type {kind} such as {example}.") from None
