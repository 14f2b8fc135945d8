"""One run: time, the beam, and the order in which things become safe."""

from dkl_ae.run.events import (
    CommandApplied,
    Dose,
    Event,
    InterruptedRun,
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
    "CommandApplied",
    "Dose",
    "Event",
    "InterruptedRun",
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
