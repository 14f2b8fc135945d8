"""The visited path drawn over the survey, as Swift shows colour pictures: bytes in the order blue, green, red.

Swift's own graphics would be rewritten to disk with the whole project at every step.
"""

from __future__ import annotations

import math

import numpy
import numpy.typing

from dkl_ae import reports
from dkl_ae.records import Origin, Proposal

ByteArray = numpy.typing.NDArray[numpy.uint8]


def _blue_green_red(colour: str) -> tuple[int, int, int]:
    """Of a colour as #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return blue, green, red


ORIGIN_COLOURS = {
    Origin.SEED: _blue_green_red(reports.SEED_COLOUR),
    Origin.MODEL: _blue_green_red(reports.MODEL_COLOUR),
    Origin.CONFIRMATION: _blue_green_red(reports.CONFIRMATION_COLOUR),
}
LINE_COLOUR = (90, 190, 240)
NEXT_COLOUR = (80, 255, 80)
PICKED_COLOUR = (255, 255, 255)

_MIN_SIDE_PX = 512
"""Small surveys are enlarged to this many pixels so that the marks do not hide them."""

_MIN_DOT_PX = 3
"""Half the side of a visited point's square, in pixels of the picture."""


class PathPicture:
    """Draws one step after another; drawing a step costs the same however long the path is.

    survey: shape (H, W).
    """

    def __init__(self, survey: numpy.typing.NDArray[numpy.float64]) -> None:
        self.enlargement = max(1, math.ceil(_MIN_SIDE_PX / max(survey.shape)))
        low, high = numpy.percentile(survey, (1, 99))
        grey = numpy.clip((survey - low) / max(high - low, 1e-30) * 200, 0, 200).astype(numpy.uint8)
        large = numpy.kron(grey, numpy.ones((self.enlargement, self.enlargement), numpy.uint8))
        self._canvas: ByteArray = numpy.repeat(large[..., numpy.newaxis], 3, axis=2)
        self._last: tuple[int, int] | None = None
        self._radius = max(_MIN_DOT_PX, round(0.35 * self.enlargement))

    def visit(self, proposal: Proposal) -> None:
        """Add a visited point and the line that led to it."""
        here = self._centre(proposal)
        if self._last is not None:
            self._line(self._last, here)
        self._dot(here, ORIGIN_COLOURS[proposal.origin])
        self._last = here

    def image(self, upcoming: Proposal | None, picked: Proposal | None = None) -> ByteArray:
        """A copy of the picture, shape (H * enlargement, W * enlargement, 3), with the next point marked and, where one
        of the visited is picked, that one too."""
        image = self._canvas.copy()
        for proposal, colour in ((upcoming, NEXT_COLOUR), (picked, PICKED_COLOUR)):
            if proposal is not None:
                self._ring(image, self._centre(proposal), colour)
        return image

    def _ring(self, image: ByteArray, centre: tuple[int, int], colour: tuple[int, int, int]) -> None:
        row, column = centre
        outer, inner = 4 * self._radius, 3 * self._radius
        top, left = max(row - outer, 0), max(column - outer, 0)
        window = image[top : row + outer + 1, left : column + outer + 1]
        y, x = numpy.ogrid[: window.shape[0], : window.shape[1]]
        distance = numpy.hypot(y + top - row, x + left - column)
        window[(distance <= outer) & (distance >= inner)] = colour

    def _centre(self, proposal: Proposal) -> tuple[int, int]:
        half = self.enlargement // 2
        return (
            proposal.row * self.enlargement + half,
            proposal.column * self.enlargement + half,
        )

    def _dot(self, centre: tuple[int, int], colour: tuple[int, int, int]) -> None:
        top, left = (max(c - self._radius, 0) for c in centre)
        self._canvas[top : centre[0] + self._radius + 1, left : centre[1] + self._radius + 1] = colour

    def _line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        count = max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
        rows = numpy.linspace(start[0], end[0], count).round().astype(numpy.intp)
        columns = numpy.linspace(start[1], end[1], count).round().astype(numpy.intp)
        # Two pixels wide: a display that shows fewer pixels than the picture has would lose a single one.
        self._canvas[rows, columns] = LINE_COLOUR
        self._canvas[numpy.maximum(rows - 1, 0), numpy.maximum(columns - 1, 0)] = LINE_COLOUR
