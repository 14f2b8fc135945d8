"""How numbers of a run are said in the panels."""

from __future__ import annotations

from dkl_ae.run import Dose


def with_error(value: float, sigma: float, unit: str) -> str:
    return f"{value:.4g} ± {sigma:.2g} {unit}".rstrip()


def dose(total: Dose) -> str:
    beam = f"{total.exposure_s:.2f} s of beam"
    return beam if total.electrons is None else f"{total.electrons:.3g} electrons, {beam}"
