"""The scalarizers there are: those of this package, those that installed packages offer, and your own."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from dkl_ae.records import UserError
from dkl_ae.scalarizers.centre_of_mass import CENTRE_OF_MASS
from dkl_ae.scalarizers.charge import CHARGE, NO_CROSS
from dkl_ae.scalarizers.diffraction import DIFFRACTION
from dkl_ae.scalarizers.expression import COMPOSITE, composite
from dkl_ae.scalarizers.novelty import COMPARED_WITH_MEMORY, NO_COMPONENT_YET, NO_EARLIER_PATTERN
from dkl_ae.scalarizers.scalarizer import Scalarizer
from dkl_ae.scalarizers.user_scalarizers import installed, load_file
from dkl_ae.scalarizers.virtual_detectors import VIRTUAL_DETECTORS
from dkl_ae.scalarizers.whole_pattern import WHOLE_PATTERN
from dkl_ae.settings import ObjectiveSettings

SCALARIZERS: Mapping[str, Scalarizer] = {
    scalarizer.name: scalarizer
    for scalarizer in (
        *CENTRE_OF_MASS,
        *VIRTUAL_DETECTORS,
        *DIFFRACTION,
        *CHARGE,
        *WHOLE_PATTERN,
        *COMPARED_WITH_MEMORY,
    )
}
"""Those of this package, by name."""

REASONS_OF_THE_RUN = frozenset((NO_CROSS, NO_EARLIER_PATTERN, NO_COMPONENT_YET))
"""Why a reading may be undefined that tell nothing of its place: the run had not exposed what else it takes."""


def catalogue(file: str = "", expression: str = "", sha256: str = "") -> dict[str, Scalarizer]:
    """Every scalarizer there is, by name.

    file: a Python file of your own; see `dkl_ae.scalarizers.user_scalarizers`. Empty for none.
    expression: gives the reading `composite`; see `dkl_ae.scalarizers.expression`. Empty for none.
    sha256: of the file's content that may be run; empty for any.

    Raises UserError, one sentence, for a file or an expression that cannot be used.
    """
    known = {scalarizer.name: scalarizer for scalarizer in installed()} | dict(SCALARIZERS)
    taken = (COMPOSITE, "reference")
    for scalarizer in load_file(pathlib.Path(file), sha256) if file else ():
        if scalarizer.name in (*known, *taken):
            raise UserError(f"There are two scalarizers named {scalarizer.name}: give yours another name.")
        known[scalarizer.name] = scalarizer
    if expression.strip():
        known[COMPOSITE] = composite(expression, known)
    return known


def scalarizers_of(objective: ObjectiveSettings, sha256: str = "") -> dict[str, Scalarizer]:
    """Every scalarizer that a plan's objective knows, by name; runs its file of custom scalarizers.

    sha256: of the file's content that may be run; empty for any.

    Raises UserError, one sentence, for a file or an expression that cannot be used.
    """
    return catalogue(objective.scalarizer_file, objective.expression, sha256)
