"""What the panel shows of a run: texts and a progress bar that its widgets bind to."""

from __future__ import annotations

from nion.utils import Model

from dkl_ae.run import Status, best_text, dose_text, model_text, progress_text, times_text, without_number_text


class Readouts:
    """Shows a run's status."""

    def __init__(self) -> None:
        self.progress = Model.PropertyModel[int](0)
        """Percent of the points."""
        self.step_text = Model.PropertyModel[str]("")
        self.time_text = Model.PropertyModel[str]("")
        self.dose_text = Model.PropertyModel[str]("")
        self.best_text = Model.PropertyModel[str]("")
        self.without_number_text = Model.PropertyModel[str]("")
        self.model_text = Model.PropertyModel[str]("")

    def show(self, status: Status, outlook: str) -> None:
        """outlook: of the model, while it says nothing of itself."""
        self.progress.value = round(100 * status.fraction)
        self.step_text.value = progress_text(status)
        self.time_text.value = times_text(status.times) if status.times is not None else ""
        self.dose_text.value = dose_text(status.dose) if status.dose.exposure_s else ""
        self.without_number_text.value = without_number_text(status)
        self.best_text.value = best_text(status)
        text = model_text(status.model) or outlook
        self.model_text.value = f"Model: {text}" if text else ""
