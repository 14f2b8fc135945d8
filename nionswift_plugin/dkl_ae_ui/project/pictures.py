"""What a run's data items show: the data with their axes, unit and what they are. Live and reviewed runs look alike."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence

import numpy
from nion.data import Calibration, DataAndMetadata

from dkl_ae.experiment import Maps, map_title
from dkl_ae.patterns import Reference
from dkl_ae.records import AnyArray, Patches, Proposal, Survey
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.session import MAPS, MAPS_IN_UNIT
from nionswift_plugin.dkl_ae_ui.project import axes
from nionswift_plugin.dkl_ae_ui.project.path_picture import PathPicture
from nionswift_plugin.dkl_ae_ui.project.run_items import METADATA_KEY, Colours

COLOURS: typing.Final = {
    "prediction": Colours("viridis"),
    "uncertainty": Colours("plasma"),
    "acquisition": Colours("magma"),
    "reading_probability": Colours("cividis", (0.0, 1.0)),
    "pattern": Colours("viridis"),
}
"""Of each image, by its role; those of others are grey, or in the picture."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What one data item shows."""

    role: str
    title: str
    data: AnyArray
    axes: Sequence[Calibration.Calibration] | None = None
    unit: str = ""
    about: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)
    """For the item's metadata."""
    y_range: tuple[float, float] | None = None
    """Of curves: what their axis spans at every step alike, with room for the legend; None where no number is shown."""

    def xdata(self, about: Mapping[str, typing.Any]) -> DataAndMetadata.DataAndMetadata:
        """about: what else the metadata tell, such as of which run it is."""
        return DataAndMetadata.new_data_and_metadata(
            self.data,
            intensity_calibration=Calibration.Calibration(units=self.unit),
            dimensional_calibrations=self.axes,
            metadata={METADATA_KEY: {**about, "role": self.role, **self.about}},
        )


def survey_picture(survey: Survey) -> Picture:
    image = survey.image.astype(numpy.float32)
    return Picture("survey", "Survey", image, axes.of_survey(image.shape, survey.pixel_size_nm))


def path_over_survey(
    path: PathPicture, survey: Survey, upcoming: Proposal | None, picked: Proposal | None = None
) -> Picture:
    """picked: of the visited points, one to mark."""
    image = path.image(upcoming, picked)
    return Picture(
        "path", "Path over survey", image, axes.of_survey(image.shape, survey.pixel_size_nm / path.enlargement)
    )


def map_pictures(maps: Maps | None, patches: Patches, scalarizer: Scalarizer) -> list[Picture]:
    """Every map; zeros while the model says nothing.

    patches: those of the run's survey.
    """
    nothing = numpy.zeros(patches.survey.shape)
    pictures = []
    for role in MAPS:
        # Swift finds no display range where pixels are NaN: not in the margin, where no patch fits.
        image = patches.inside(nothing if maps is None else getattr(maps, role)).astype(numpy.float32)
        unit = scalarizer.unit if role in MAPS_IN_UNIT else ""
        pictures.append(
            Picture(role, map_title(role), image, axes.of_survey(image.shape, patches.survey.pixel_size_nm), unit)
        )
    return pictures


def pattern_picture(
    pattern: AnyArray, reference: Reference, role: str = "pattern", title: str = "Current pattern"
) -> Picture:
    geometry = dataclasses.asdict(reference.geometry)
    return Picture(role, title, pattern, axes.of_pattern(reference), "counts", {"geometry": geometry})


def curves(
    role: str,
    title: str,
    values: AnyArray,
    unit: str,
    axis: Calibration.Calibration | None = None,
    y_range: tuple[float, float] | None = None,
) -> Picture:
    """The value of each point, or against another axis; one row a curve where there are several."""
    of_rows = [Calibration.Calibration() for _ in values.shape[1:]]
    return Picture(role, title, values, [*of_rows, axis or axes.points()], unit, y_range=y_range)
