"""One run: time, the beam, and the order in which things become safe."""

from dkl_ae.run.events import (
    Dose,
    DriverChanged,
    Event,
    LeftRun,
    Outcome,
    PointMeasured,
    ReadingsRevised,
    ReferenceFound,
    RunEnded,
    RunPaused,
    RunResumed,
    StepCompleted,
    StepTimes,
    SurveyAcquired,
)
from dkl_ae.run.pattern_reader import Reader
from dkl_ae.run.run_recorder import NotKeptError
from dkl_ae.run.runner import Runner
from dkl_ae.run.texts import model_text

__all__ = [
    "Dose",
    "DriverChanged",
    "Event",
    "LeftRun",
    "NotKeptError",
    "Outcome",
    "PointMeasured",
    "Reader",
    "ReadingsRevised",
    "ReferenceFound",
    "RunEnded",
    "RunPaused",
    "RunResumed",
    "Runner",
    "StepCompleted",
    "StepTimes",
    "SurveyAcquired",
    "model_text",
]
