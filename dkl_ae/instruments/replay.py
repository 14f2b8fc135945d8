"""A recording in the place of a microscope: what a run on it needs, kept with the run so that it can go on."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping

from dkl_ae.instruments.column_instrument import ColumnInstrument
from dkl_ae.recordings import open_recording, virtual_survey
from dkl_ae.records import DEFAULT_ELECTRONS, DEFAULT_EXPOSURE_S, ELEMENTARY_CHARGE_C, UserError
from dkl_ae.simulation import ReplayColumn

KIND: typing.Final = "recording"
"""Of the instrument, in a session."""
_FILES: typing.Final = ("file", "survey_file")
_PAIRS: typing.Final = ("scan_shape", "survey_ring")


@dataclasses.dataclass(frozen=True)
class Replay:
    """A recording, and how it is opened and served. Raises UserError, one sentence, for what no beam can be."""

    file: pathlib.Path
    survey_file: pathlib.Path | None = None
    scan_shape: tuple[int, int] | None = None
    nm_per_pixel: float | None = None
    mrad_per_pixel: float | None = None
    beam_energy_kev: float | None = None
    """These as `open_recording` takes them."""
    survey_ring: tuple[float, float] | None = None
    """In disc radii: a virtual detector that makes the survey of the patterns; None to take a recorded one."""
    counts_per_electron: float = 1.0
    electrons: float = DEFAULT_ELECTRONS
    """On the specimen for a pattern: they make counts of a simulation without noise, and the dose of any recording."""
    exposure_s: float = DEFAULT_EXPOSURE_S
    """Of a pattern."""
    seed: int = 0
    """Of the counting noise, where the recording has none."""

    def __post_init__(self) -> None:
        for what, value in (
            ("number of electrons of a pattern", self.electrons),
            ("number of counts per electron", self.counts_per_electron),
            ("exposure in s", self.exposure_s),
        ):
            if not 0 < value < math.inf:
                raise UserError(f"The {what} is {value:g}: give a positive number.")

    @contextlib.contextmanager
    def opened(self, progress: Callable[[float], None] = lambda fraction: None) -> Iterator[ColumnInstrument]:
        """The instrument; the recording is closed with it.

        progress: called with the fraction done of a survey that is made of the patterns.

        Raises UserError, one sentence, when the recording cannot be used.
        """
        recording = open_recording(
            self.file,
            self.survey_file,
            scan_shape=self.scan_shape,
            nm_per_pixel=self.nm_per_pixel,
            mrad_per_pixel=self.mrad_per_pixel,
            beam_energy_kev=self.beam_energy_kev,
            require_survey=self.survey_ring is None,
        )
        with contextlib.closing(recording):
            if self.survey_ring is not None:
                survey = virtual_survey(recording, *self.survey_ring, electrons=self.electrons, progress=progress)
                recording = dataclasses.replace(recording, survey=survey)
            column = ReplayColumn(recording, seed=self.seed, counts_per_electron=self.counts_per_electron)
            current_a = self.electrons * ELEMENTARY_CHARGE_C / self.exposure_s
            yield ColumnInstrument(column, exposure_s=self.exposure_s, beam_current_a=current_a)

    def described(self) -> dict[str, typing.Any]:
        """As a session keeps it."""
        settings = dataclasses.asdict(self)
        for name in _FILES:
            if settings[name] is not None:
                settings[name] = str(settings[name].absolute())
        return {"kind": KIND, **settings}


def replay_of(
    described: Mapping[str, typing.Any],
    session: str,
    file: pathlib.Path | None = None,
    survey_file: pathlib.Path | None = None,
) -> Replay:
    """What a saved session was measured on.

    described: the session's instrument, as `Replay.described` gave it.
    session: its name, for messages.
    file, survey_file: where they are now, when they have moved.

    Raises UserError, one sentence, for a session of another instrument, or when its files are not there.
    """
    settings = dict(described)
    kind = settings.pop("kind", "unknown")
    if kind != KIND:
        raise UserError(
            f"{session} was not measured on a recording (its instrument is {kind}): go on with it where it "
            "began, in Swift's panel."
        )
    if settings.keys() != {field.name for field in dataclasses.fields(Replay)}:
        raise UserError(f"{session} does not tell how its recording was opened: start a new run.")
    for name, option, moved in (("file", "--recording", file), ("survey_file", "--survey", survey_file)):
        if settings[name] is not None:
            settings[name] = moved or pathlib.Path(settings[name])
            if not os.path.exists(settings[name]):
                raise UserError(f"There is no {settings[name]} any more: name its new place with {option}.")
    for name in _PAIRS:
        if settings[name] is not None:
            settings[name] = tuple(settings[name])
    return Replay(**settings)
