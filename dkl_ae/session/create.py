"""Creates a session file: what is known before the first pattern, and the datasets for what is to come."""

from __future__ import annotations

import json
import pathlib
import time
import typing
from collections.abc import Mapping, Sequence

import h5py
import numpy
import numpy.typing

from dkl_ae.patterns import reference_as_dict
from dkl_ae.records import software_versions
from dkl_ae.run import Event, PointMeasured, ReferenceFound, SurveyAcquired
from dkl_ae.scalarizers import ENDS, Scalarizer
from dkl_ae.session.layout import (
    EVENTS,
    FORMAT,
    FORMAT_OF_1_10,
    INPUTS,
    MAPS,
    MAPS_IN_UNIT,
    MEASUREMENTS,
    REPEATED,
    REPEATED_PATTERNS,
    STEPS,
    VERSION,
    About,
    Column,
)
from dkl_ae.session.log import append_log
from dkl_ae.session.repeated import REPEATED_COLUMNS
from dkl_ae.settings import Plan, to_json, values_of

_ROWS_IN_CHUNK = 64
_ARCHIVE_CHUNK = 1 << 14


def create_session(
    file: pathlib.Path,
    plan: Plan,
    scalarizers: Mapping[str, Scalarizer],
    about: About,
    created: float,
    survey: SurveyAcquired,
    reference: ReferenceFound | None,
    first: PointMeasured | None,
    events: Sequence[Event],
) -> None:
    """Write a session without measurements.

    created: when the run began, in seconds since the epoch.
    first: the first measurement, whose shapes and types those to come will have; None before there is one: the file
        then has no datasets for measurements.
    events: what happened before there were measurements.

    Raises OSError when it cannot be written.
    """
    # In memory first: HDF5 crashes on closing a file that it could not write.
    with h5py.File(file.name, "w", libver=FORMAT_OF_1_10, driver="core", backing_store=False) as opened:
        _describe(opened, plan, about, created)
        _add_survey(opened, survey)
        if reference is not None:
            _add_reference(opened, reference)
        for column in EVENTS:
            _add_column(opened, f"events/{column.name}", column)
        if first is not None:
            _add_empty_datasets(opened, scalarizers, survey, first)
        rows = 0
        for event in (survey, *events):
            rows = append_log(opened, event, 0, rows)
        opened.flush()
        content = opened.id.get_file_image()
    file.write_bytes(content)


def _describe(opened: h5py.File, plan: Plan, about: About, created: float) -> None:
    opened.attrs.update(
        {
            "format": FORMAT,
            "version": VERSION,
            "title": about.title,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
            "plan": to_json(plan),
            "instrument": json.dumps(dict(about.instrument)),
            "software": json.dumps(software_versions()),
            "documentation": "docs/session-format.md of nionswift-dkl-ae",
        }
    )
    inputs, values = opened.create_group("inputs"), values_of(plan)
    for name in INPUTS:
        path = values[name]
        if path:
            content = numpy.frombuffer(pathlib.Path(path).read_bytes(), numpy.uint8)
            inputs.create_dataset(name, data=content).attrs["path"] = str(path)


def _add_survey(opened: h5py.File, event: SurveyAcquired) -> None:
    image = opened.create_dataset(
        "survey/image", data=event.survey.image, compression="gzip", shuffle=True, fletcher32=True
    )
    image.attrs["units"] = "arbitrary"
    image.attrs["pixel_size_nm"] = event.survey.pixel_size_nm
    _add_dose(opened["survey"], event)


def _add_reference(opened: h5py.File, event: ReferenceFound) -> None:
    group = opened.create_group("reference")
    group.attrs["reference"] = json.dumps(reference_as_dict(event.reference))
    for name in ("pattern", "dark", "bad_pixels"):
        if (array := getattr(event.reference, name)) is not None:
            group[name] = array
    mean = group.create_dataset("mean_exposure", data=event.pattern, compression="gzip", shuffle=True, fletcher32=True)
    mean.attrs["units"] = "counts"
    if event.frames:
        exposures = numpy.stack([frame.pattern for frame in event.frames])
        stored = group.create_dataset("exposures", data=exposures, compression="gzip", shuffle=True, fletcher32=True)
        stored.attrs["units"] = "counts"
        group["read_back_y"] = [frame.position_read_back.y for frame in event.frames]
        group["read_back_x"] = [frame.position_read_back.x for frame in event.frames]
        group["exposure_s"] = [frame.exposure_s for frame in event.frames]
        group["time"] = [frame.time for frame in event.frames]
    _add_dose(group, event)


def _add_dose(group: h5py.Group, event: SurveyAcquired | ReferenceFound) -> None:
    group.attrs["total_exposure_s"] = event.dose.exposure_s
    group.attrs["total_electrons"] = numpy.nan if event.dose.electrons is None else event.dose.electrons


def _add_empty_datasets(
    opened: h5py.File, scalarizers: Mapping[str, Scalarizer], survey: SurveyAcquired, first: PointMeasured
) -> None:
    """Datasets without rows: none can be added once the file is appended to."""
    for column in (*MEASUREMENTS, *STEPS):
        _add_column(opened, f"{'steps' if column in STEPS else 'measurements'}/{column.name}", column)
    opened.create_group("readings", track_order=True)
    for scalarizer in scalarizers.values():
        group = opened.create_group(f"readings/{scalarizer.name}")
        group.attrs.update(
            label=scalarizer.label,
            circular=scalarizer.circular,
            symmetry=str(scalarizer.symmetry),
            description=scalarizer.description,
        )
        for name, meaning in (
            ("value", "Reading."),
            ("sigma", "Its standard deviation."),
            ("common_sigma", "Standard deviation of the error that all of these readings have in common."),
        ):
            _add_column(opened, f"{group.name}/{name}", Column(name, scalarizer.unit, meaning))
    pattern = first.frame.pattern
    _add_images(opened, "patterns", pattern.shape, pattern.dtype, "counts")
    scales = first.frame.mrad_per_pixel
    opened["patterns"].attrs.update(mrad_per_pixel=scales, counts_per_electron=first.frame.counts_per_electron)
    _add_images(opened, "cross_ends/patterns", (len(ENDS), *pattern.shape), pattern.dtype, "counts")
    opened["cross_ends/patterns"].attrs["ends"] = ENDS
    for name, meaning in (("measurement", "Which they were around, from 0."), ("count", "Ends that were exposed.")):
        _add_column(opened, f"cross_ends/{name}", Column(name, "", meaning, "i8"))
    _add_images(opened, REPEATED_PATTERNS, pattern.shape, pattern.dtype, "counts")
    for column in REPEATED_COLUMNS:
        _add_column(opened, f"{REPEATED}/{column.name}", column)
    for name in MAPS:
        unit = "of the optimized reading" if name in MAPS_IN_UNIT else ""
        _add_images(opened, f"maps/{name}", survey.survey.shape, numpy.dtype("f4"), unit)
    _add_column(opened, "maps/step", Column("step", "", "Measurements that the maps rest on.", "i8"))
    for name, meaning in (
        ("measured", "Measurements that the model was trained on."),
        ("start", "Of the checkpoint in the archive."),
        ("length", "Of the checkpoint in the archive, in bytes."),
        ("commands", "Commands before it."),
    ):
        _add_column(opened, f"model/{name}", Column(name, "", meaning, "i8"))
    opened.create_dataset("model/archive", (0,), "u1", maxshape=(None,), chunks=(_ARCHIVE_CHUNK,), fletcher32=True)


def _add_column(opened: h5py.File, name: str, column: Column) -> None:
    text = column.dtype.startswith("S") and numpy.dtype(column.dtype).itemsize > 100
    dataset = opened.create_dataset(
        name,
        (0,),
        column.dtype,
        maxshape=(None,),
        chunks=(_ROWS_IN_CHUNK,),
        compression="gzip" if text else None,
        fletcher32=True,
    )
    dataset.attrs["units"] = column.unit
    dataset.attrs["description"] = column.description


def _add_images(
    opened: h5py.File, name: str, shape: tuple[int, ...], dtype: numpy.dtype[typing.Any], unit: str
) -> None:
    whole = (1,) * (len(shape) - 2) + tuple(shape[-2:])
    dataset = opened.create_dataset(
        name,
        (0, *shape),
        dtype,
        maxshape=(None, *shape),
        chunks=(1, *whole),
        compression="gzip",
        # The higher levels take several times as long for a few per cent.
        compression_opts=1,
        shuffle=True,
        fletcher32=True,
    )
    dataset.attrs["units"] = unit
