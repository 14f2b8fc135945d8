"""Opens a session file, whether its run ended, was killed, or goes on, and also when the file was cut off."""

from __future__ import annotations

import json
import pathlib
import types
import typing
from collections.abc import Mapping

import h5py
import numpy

from dkl_ae.records import UserError
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import version_1
from dkl_ae.session.disk.damage import reading
from dkl_ae.session.disk.torn import SurvivingRows, open_torn
from dkl_ae.session.layout import FORMAT, MAPS, MEASUREMENTS, STEPS, VERSION
from dkl_ae.session.reading import dose_of, log_of, reference_of, scalarizers_of, survey_of
from dkl_ae.session.repeated import repeated_columns
from dkl_ae.session.session import Session
from dkl_ae.settings import Plan, from_json


def open_session(file: pathlib.Path) -> Session:
    """Open a session file; one that is being written, or whose writer was killed, too. The file is not changed.

    Of a file that was cut off, all that it still holds is there, and `Session.losses` says what is not.

    Parameters
    ----------
    file : pathlib.Path
        Of any version up to the present one.

    Returns
    -------
    Session
        A context manager that lets go of the file.

    Raises
    ------
    UserError
        For what is no session, or one of a newer version.
    """
    opened, length = open_torn(file)
    with reading(file):
        try:
            attributes = dict(opened.attrs)
            if attributes.get("format") != FORMAT:
                raise UserError(f"{file} is no saved session: choose a file that a run has made.")
            version = int(attributes["version"])
            if version > VERSION:
                raise UserError(f"{file} was saved by a newer version of dkl-ae (format {version}): update dkl-ae.")
            return _session(file, opened, attributes, length)
        except BaseException:
            opened.close()
            raise


def _session(file: pathlib.Path, opened: h5py.File, attributes: Mapping[str, typing.Any], length: int) -> Session:
    version = int(attributes["version"])
    instrument = json.loads(attributes["instrument"])
    surviving = SurvivingRows(opened, length)
    scalarizers = scalarizers_of(opened)
    reference, reference_pattern, reference_dose = reference_of(opened)
    columns = {column.name: surviving.rows(f"measurements/{column.name}", column.dtype) for column in MEASUREMENTS}
    readings = {
        name: (surviving.rows(f"readings/{name}/value"), surviving.rows(f"readings/{name}/sigma"))
        for name in scalarizers
    }
    common_sigmas = {
        name: surviving.rows(f"readings/{name}/common_sigma") if "common_sigma" in opened[f"readings/{name}"] else None
        for name in readings
    }
    count = min(
        surviving.images("patterns"),
        *(len(column) for column in columns.values()),
        *(len(part) for pair in readings.values() for part in pair),
        *(len(part) for part in common_sigmas.values() if part is not None),
    )
    written = max(surviving.written(f"measurements/{name}") for name in columns)
    step_columns = version_1.STEPS if version == 1 else STEPS
    steps = {
        column.name: surviving.rows(f"steps/{column.name}", column.dtype)
        for column in step_columns
        if column.name in opened.get("steps", (column.name,))
    }
    complete = min(*map(len, steps.values()), count)
    steps = {name: column[:complete] for name, column in steps.items()}
    map_count = min(surviving.images(f"maps/{name}") for name in MAPS if name in opened.get("maps", MAPS))
    losses = {
        f"{file.name} is cut off: {count} of {written} measurements are recovered.": surviving.is_cut,
        f"{file.name} is damaged: do not trust {', '.join(surviving.doubtful)}.": surviving.doubtful,
    }
    return Session(
        file=file,
        version=version,
        title=str(attributes["title"]),
        created=str(attributes["created"]),
        software=json.loads(attributes["software"]),
        instrument=instrument,
        plan=_plan(attributes["plan"], instrument, version),
        scalarizers=types.MappingProxyType(scalarizers or dict(SCALARIZERS)),
        survey=survey_of(opened["survey/image"]),
        survey_dose=dose_of(opened["survey"]),
        reference=reference,
        reference_pattern=reference_pattern,
        reference_dose=reference_dose,
        count=count,
        columns=types.MappingProxyType({name: column[:count] for name, column in columns.items()}),
        readings=types.MappingProxyType({name: (v[:count], s[:count]) for name, (v, s) in readings.items()}),
        common_sigmas=types.MappingProxyType(
            {name: numpy.zeros(count) if part is None else part[:count] for name, part in common_sigmas.items()}
        ),
        repeated=types.MappingProxyType(repeated_columns(surviving, count)),
        steps=types.MappingProxyType(version_1.with_numbers(steps) if version == 1 else steps),
        map_steps=surviving.rows("maps/step", "i8")[:map_count],
        log=log_of(surviving, version),
        losses=tuple(loss for loss, is_true in losses.items() if is_true),
        opened=opened,
    )


def _plan(text: str, instrument: Mapping[str, typing.Any], version: int) -> Plan:
    plan = from_json(text)
    return version_1.completed_plan(plan, set(json.loads(text)), instrument) if version == 1 else plan
