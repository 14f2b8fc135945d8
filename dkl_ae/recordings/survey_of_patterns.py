"""A survey for a recording that has none: the image that an annular detector would have made of its own patterns."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from dkl_ae.recordings.chunks import chunks_of
from dkl_ae.recordings.recording import Recording
from dkl_ae.recordings.reference_choice import ReferenceChoice, recorded_reference
from dkl_ae.records import DEFAULT_ELECTRONS, FloatArray, UserError
from dkl_ae.scalarizers import annulus


def virtual_survey(
    recording: Recording,
    inner: float,
    outer: float,
    *,
    choice: ReferenceChoice | None = None,
    electrons: float = DEFAULT_ELECTRONS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> FloatArray:
    """Counts in a ring of each pattern, shape (H, W); a part of the scan is in memory at a time.

    inner, outer: radii of the ring around the bright-field disc's centre, in radii of the disc; infinity for all that
        the detector has.
    choice: of the reference, in which the disc is found; by default the first that there is.
    electrons: of a pattern, for a recording without noise.
    progress: called with the fraction done.

    Raises UserError, one sentence, for a ring without pixels, or when no disc is found.
    """
    if not 0 <= inner < outer:
        raise UserError(f"The virtual detector goes from {inner:g} to {outer:g} disc radii: give a ring like 1.5 4.")
    reference = recorded_reference(recording, choice or ReferenceChoice(), electrons)
    ring = annulus(reference, inner, outer)
    if not ring.any():
        raise UserError(
            f"The camera has no pixel between {inner:g} and {outer:g} disc radii: choose other radii of the virtual "
            "detector."
        )
    image = numpy.empty(recording.scan_shape)
    chunks = chunks_of(recording.scan_shape, recording.detector_shape)
    for count, chunk in enumerate(chunks, start=1):
        place = slice(*chunk.rows), slice(*chunk.columns)
        counts = recording.counts(*place, electrons)
        image[place] = counts[:, ring].sum(axis=1, dtype=numpy.float64).reshape(image[place].shape)
        progress(count / len(chunks))
    return image
