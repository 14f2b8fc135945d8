"""Why readings are undefined: told to the user once, however often it happens."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dkl_ae.records import Reading
from dkl_ae.scalarizers import SCALARIZERS

_NUMBER = re.compile(r"\d[\d,.]*")


class ReasonLog:
    """What was told in one run.

    labels: of the scalarizers, by name.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._told: set[str] = set()

    def news(self, readings: Mapping[str, Reading], optimized: str) -> str:
        """A sentence that was not told before, of the optimized scalarizer or of one of the user's own; else empty.

        Sentences that differ in numbers alone are one. The built-in scalarizers that are not optimized are undefined at
        many a place, where there is no diffraction say, and are not told.
        """
        for name in (optimized, *(name for name in readings if name not in SCALARIZERS)):
            reason = readings[name].reason
            kind = _NUMBER.sub("", reason)
            if reason and kind not in self._told:
                self._told.add(kind)
                return f"{self._labels[name]}: {reason}"
        return ""
