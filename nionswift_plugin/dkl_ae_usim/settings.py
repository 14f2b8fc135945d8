"""What the simulator's panel asks for: the texts a user types become validated settings, and those a column."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import typing
from collections.abc import Mapping

from dkl_ae.recordings import open_recording
from dkl_ae.records import DEFAULT_BEAM_CURRENT_A, UserError
from dkl_ae.simulation import (
    PRESETS,
    Camera,
    CameraGeometry,
    Column,
    Optics,
    ReplayColumn,
    VirtualColumn,
    preset,
    read_structure,
)
from nionswift_plugin.dkl_ae_kit import NumberField

STRUCTURE_FILE = "structure-file"
RECORDING_FILE = "recording"
SPECIMENS: Mapping[str, str] = {
    **{each.name: each.label for each in PRESETS.values()},
    STRUCTURE_FILE: "Structure file (.cif, .xyz)",
    RECORDING_FILE: "Recorded 4D-STEM data",
}

PERFECT_CAMERA = "perfect"
REAL_CAMERA = "real"
CAMERAS: Mapping[str, str] = {
    PERFECT_CAMERA: "Counts every electron",
    REAL_CAMERA: "With a camera's faults",
}
_FAULTY = Camera(
    gain=4.0,
    dark_counts_per_s=20.0,
    readout_noise_counts=1.5,
    dead_fraction=0.001,
    hot_fraction=0.001,
    saturation_counts=65535.0,
    frame_rate_hz=1000.0,
)


NUMBER_FIELDS: typing.Final = (
    NumberField("beam_current_pa", "Beam current", "pA", "With the exposure it gives the dose of each pattern."),
    NumberField("drift_x_nm_per_s", "Drift x", "nm/s", "How fast the specimen moves to the right; 0 for not at all."),
    NumberField("drift_y_nm_per_s", "Drift y", "nm/s", "How fast the specimen moves down; 0 for not at all."),
    NumberField(
        "damage_barn",
        "Damage",
        "barn",
        "Cross-section of losing an atom: it leaves with a probability that grows with the dose it has received. "
        "0 for no damage; 10 loses about one of six atoms under a 10 ms exposure at 30 pA.",
    ),
    NumberField(
        "seed", "Seed", "", "Draws the defects' places, the noise and the damage; the same seed, the same.", int
    ),
)


@dataclasses.dataclass(frozen=True)
class SimulatorSettings:
    """Everything the simulator needs from the user. Raises UserError, one sentence, for what cannot work."""

    specimen: str = "graphene-si"
    file: str = ""
    """Of the structure or the recording."""
    beam_current_pa: float = DEFAULT_BEAM_CURRENT_A * 1e12
    drift_x_nm_per_s: float = 0.0
    drift_y_nm_per_s: float = 0.0
    damage_barn: float = 0.0
    seed: int = 0
    camera: str = PERFECT_CAMERA

    def __post_init__(self) -> None:
        if self.specimen not in SPECIMENS:
            preset(self.specimen)
        if self.camera not in CAMERAS:
            raise UserError(f"There is no camera '{self.camera}': choose one of {', '.join(CAMERAS)}.")
        if not 0 <= self.beam_current_pa < math.inf:
            raise UserError(f"The beam current is {self.beam_current_pa:g} pA: choose zero or a positive number.")
        for axis, speed in (("x", self.drift_x_nm_per_s), ("y", self.drift_y_nm_per_s)):
            if not math.isfinite(speed):
                raise UserError(f"The drift along {axis} is {speed:g} nm/s: choose a number.")
        if not 0 <= self.damage_barn < math.inf:
            raise UserError(f"The damage is {self.damage_barn:g} barn: choose zero or a positive number.")
        if self.seed < 0:
            raise UserError(f"The seed is {self.seed}: choose zero or a positive whole number.")
        if self.needs_file and not self.file.strip():
            raise UserError("No file is chosen: type its name or press Browse.")

    @property
    def needs_file(self) -> bool:
        return self.specimen in (STRUCTURE_FILE, RECORDING_FILE)

    def make_column(self) -> Column:
        """Raises UserError, one sentence, for a file that cannot be used."""
        file = pathlib.Path(self.file.strip()).expanduser()
        if self.specimen == RECORDING_FILE:
            return ReplayColumn(open_recording(file), seed=self.seed)
        if self.specimen == STRUCTURE_FILE:
            specimen, optics, geometry = read_structure(file), Optics(), CameraGeometry()
        else:
            chosen = preset(self.specimen)
            specimen, optics, geometry = chosen.make(self.seed), chosen.optics, chosen.geometry
        faulty = self.camera == REAL_CAMERA
        return VirtualColumn(
            specimen,
            optics,
            _misaligned(geometry) if faulty else geometry,
            camera=_FAULTY if faulty else Camera(),
            drift_nm_per_s=(self.drift_y_nm_per_s, self.drift_x_nm_per_s),
            damage_barn=self.damage_barn,
            seed=self.seed,
        )

    def to_texts(self) -> dict[str, str]:
        """The text of each setting, by its name."""
        values = dataclasses.asdict(self)
        return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> SimulatorSettings:
        """Raises UserError for the first text that cannot be used."""
        usual = cls().to_texts()
        known: dict[str, typing.Any] = {**usual, **texts}
        for field in NUMBER_FIELDS:
            known[field.name] = field.parse(known[field.name], usual[field.name])
        return cls(**known)


def _misaligned(geometry: CameraGeometry) -> CameraGeometry:
    """As it is on a column nobody has tuned today."""
    return dataclasses.replace(
        geometry,
        rotation_deg=12.0,
        ellipticity=1.02,
        ellipse_axis_deg=30.0,
        offset_mrad=(1.4, -2.3),
        descan_mrad_per_nm=((0.15, -0.05), (0.1, 0.2)),
    )
