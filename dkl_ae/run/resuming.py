"""What happens when a run is taken up where it was interrupted."""

from __future__ import annotations

from dkl_ae.experiment import Experiment
from dkl_ae.instruments import Instrument
from dkl_ae.records import Survey
from dkl_ae.run.events import InterruptedRun, RunResumed
from dkl_ae.run.exposing import Exposing
from dkl_ae.run.points import Points
from dkl_ae.run.recording import Recording


def adopt_survey(interrupted: InterruptedRun, instrument: Instrument, exposing: Exposing) -> Survey:
    """Measure on the survey of then, which costs no dose; what was exposed for it and the reference counts."""
    instrument.adopt_survey(interrupted.survey.survey)
    exposing.dose = (interrupted.reference or interrupted.survey).dose
    return interrupted.survey.survey


def take_up(
    interrupted: InterruptedRun, experiment: Experiment, points: Points, exposing: Exposing, recording: Recording
) -> None:
    """Go on with what was measured then, as if it had never been interrupted."""
    points.reader = interrupted.reader or points.reader
    if interrupted.measurements:
        exposing.dose = interrupted.dose
        interrupted = points.catch_up(interrupted, experiment.patches.survey)
    experiment.restore(interrupted.history, interrupted.checkpoint)
    recording.record(
        RunResumed(
            experiment.plan,
            experiment.objective,
            interrupted,
            experiment.maps,
            experiment.checkpoint,
            experiment.explanation,
            exposing.dose,
            experiment.best,
            experiment.unconfirmed,
        )
    )
