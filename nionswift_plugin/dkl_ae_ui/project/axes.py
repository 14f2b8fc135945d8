"""How the pixels of a run's data lie: nanometres from the survey's centre, milliradians from the disc's."""

from __future__ import annotations

from nion.data import Calibration

from dkl_ae.patterns import Reference


def centred(side: int, scale: float, units: str) -> Calibration.Calibration:
    """Of an axis whose middle is zero."""
    return Calibration.Calibration(-side * scale / 2, scale, units)


def of_survey(shape: tuple[int, ...], pixel_size_nm: float) -> list[Calibration.Calibration]:
    """Of an image around the survey's centre."""
    return [centred(side, pixel_size_nm, "nm") for side in shape[:2]]


def of_pattern(reference: Reference) -> list[Calibration.Calibration]:
    """Of a pattern around the centre of the bright-field disc."""
    # Swift's coordinates are those of pixel edges, the reference's those of pixel centres.
    return [
        Calibration.Calibration(-(centre + 0.5) * scale, scale, "mrad")
        for centre, scale in zip(reference.centre, reference.mrad_per_pixel, strict=True)
    ]


def points() -> Calibration.Calibration:
    """Of an axis of points, which are numbered from 1."""
    return Calibration.Calibration(1, 1, "point")
