"""The report of a run: what it sought and found, where it looked, what it cost, and how it was set."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy

from dkl_ae.analysis import confirmations, confirmed_readings, curves, dose_shares, shown_steps
from dkl_ae.experiment import ACQUISITIONS, Objective
from dkl_ae.outputs import finished_folder
from dkl_ae.patterns import zero_notice
from dkl_ae.reports.page import PAGE, Callout, Section, pluralized, quantity, write_page
from dkl_ae.reports.run_curves import (
    calibration_picture,
    dose_picture,
    exploration_picture,
    learning_picture,
    times_picture,
)
from dkl_ae.reports.run_maps import maps_picture, survey_picture
from dkl_ae.reports.run_patterns import patterns_picture
from dkl_ae.reports.run_tables import events_table, origin_table, reference_table, settings_table, unread_table
from dkl_ae.run import Outcome
from dkl_ae.session import Session


def write_report(
    session: Session, folder: pathlib.Path, steps: Sequence[int] = (), *, overwrite: bool = False
) -> pathlib.Path:
    """Write the report of a run into a folder, as an HTML page and its figures as PNG and SVG; returns the page's file.

    steps: after how many measurements maps are shown; empty for some that are spread over the run.
    overwrite: whether the files of an earlier report may be replaced; they stay until all of this one is written.

    Raises UserError, one sentence, for a step without maps and for a place that is taken, and OSError when the folder
    cannot be written.
    """
    shown = shown_steps(session, steps)
    with finished_folder(folder, [PAGE], [session.file], overwrite=overwrite) as unfinished:
        write_page(unfinished, session.title or f"Run of {session.created}", _sections(session, shown))
    return folder / PAGE


def _sections(session: Session, shown: Sequence[int]) -> list[Section]:
    sections = [
        Section("Summary", [*map(Callout, [*session.losses, *_doubts(session)]), *_summary(session)]),
        Section("Where it looked", [survey_picture(session)]),
    ]
    if shown:
        sections.append(Section("What the model said", [maps_picture(session, shown)]))
    if session.count:
        sections += [
            Section("Selected patterns", [patterns_picture(session)]),
            Section("What it found", [learning_picture(session)]),
            Section("Whether the model was to be believed", [calibration_picture(session)]),
            Section("Exploring and exploiting", [exploration_picture(session)]),
        ]
    sections.append(Section("Dose", [dose_picture(session)]))
    if session.count:
        sections.append(Section("Time", [times_picture(session)]))
    tables = [table(session) for table in (settings_table, reference_table, origin_table, unread_table, events_table)]
    sections.append(Section("Settings and events", [table for table in tables if table.rows]))
    return sections


def _doubts(session: Session) -> list[str]:
    """What is not to be trusted of the reference."""
    notice = zero_notice(session.reference) if session.reference is not None else ""
    return [notice] if notice else []


def _about_confirmations(session: Session, objective: Objective) -> list[str]:
    """How many readings nothing confirms, and how many points were spent on confirming."""
    known = numpy.isfinite(session.readings[objective.scalarizer.name][0])
    unconfirmed = int(known.sum()) - confirmed_readings(session, objective, session.count).size
    sentences = []
    if made := int(confirmations(session).sum()):
        measured = pluralized(made, "measurement")
        sentences.append(f"{measured} of them confirmed or belied surprising readings right beside these.")
    if unconfirmed:
        left_out = pluralized(unconfirmed, "reading")
        sentences.append(f"No other reading confirms {left_out}, left out where the best is named.")
    return sentences


def _summary(session: Session) -> list[str]:
    plan = session.plan
    acquisition = ACQUISITIONS[plan.search.acquisition].label
    ended = {
        Outcome.FINISHED: "The run finished",
        Outcome.STOPPED: "The run was stopped",
        Outcome.FAILED: "The run failed",
        None: "The run has no end: it was broken off, or goes on",
    }[session.outcome]
    sentences = [
        f"{ended}, with {pluralized(session.count, 'measurement')} of {plan.search.points}. It sought "
        f"{session.objective(0).text()}: {pluralized(plan.search.seed_points, 'place')} at random, then "
        f"{pluralized(plan.search.model_points, 'place')} where the model, which "
        f"learned from all measurements before, found most to gain ({acquisition})."
    ]
    if not session.count:
        return sentences
    last = session.objective(session.count - 1)
    best = curves(session, last).best[-1]
    if numpy.isfinite(best):
        sentences.append(
            f"Nearest to the goal came a {last.scalarizer.label} of {quantity(float(best), last.scalarizer.unit)}."
        )
    sentences += _about_confirmations(session, last)
    dose = dose_shares(session)
    if dose.full_scan_s is not None:
        sentences.append(
            "A pattern at every pixel of the survey would have exposed the specimen "
            f"{dose.full_scan_s / dose.total_s:.3g} times as long."
        )
    return sentences
