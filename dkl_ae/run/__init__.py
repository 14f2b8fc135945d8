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
from dkl_ae.run.status import Phase, Status, begun, folded
from dkl_ae.run.texts import (
    best_text,
    dose_text,
    model_text,
    news_text,
    position_text,
    progress_text,
    reading_text,
    times_text,
    with_error,
    without_number_text,
)

__all__ = [
    "CommandApplied",
    "Dose",
    "Event",
    "InterruptedRun",
    "NotKeptError",
    "Outcome",
    "Phase",
    "PointMeasured",
    "Reader",
    "ReadingsRevised",
    "ReferenceFound",
    "RunEnded",
    "RunPaused",
    "RunResumed",
    "Runner",
    "Status",
    "StepCompleted",
    "StepTimes",
    "SurveyAcquired",
    "begun",
    "best_text",
    "dose_text",
    "folded",
    "model_text",
    "news_text",
    "position_text",
    "progress_text",
    "reading_text",
    "times_text",
    "with_error",
    "without_number_text",
]
