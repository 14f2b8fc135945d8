"""What goes into the panel's settings from files and drawings, and from the last run into files."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable

from nion.swift import DocumentController
from nion.ui import Declarative

from dkl_ae.patterns import save_reference
from dkl_ae.records import UserError
from dkl_ae.settings import SETTINGS
from nionswift_plugin.dkl_ae_ui.run_panel import files
from nionswift_plugin.dkl_ae_ui.run_panel.form import Form
from nionswift_plugin.dkl_ae_ui.run_panel.results import Results
from nionswift_plugin.dkl_ae_ui.run_panel.selection import selected_rectangle, selected_shape


class Exchange:
    """The buttons beside the settings.

    set_text: sets a setting as if the user had. tell: shows a sentence.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        form: Form,
        results: Results,
        set_text: Callable[[str, str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._window = window
        self._form = form
        self._results = results
        self._set_text = set_text
        self._tell = tell

    def browse_pretrained_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("pretrained", files.MODEL_FILES)

    def browse_reference_file_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("reference_file", files.REFERENCE_FILES)

    def browse_scalarizer_file_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self._browse("scalarizer_file", files.PYTHON_FILES)

    def _browse(self, key: str, kinds: str) -> None:
        chosen, _, _ = self._window.get_file_path_dialog(SETTINGS[key].label, "", kinds)
        if chosen:
            self._set_text(key, str(chosen))

    def take_drawn_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            self._set_text("reference_region", selected_rectangle(self._window.selected_display_item))
        except UserError as error:
            self._tell(str(error))

    def add_drawn_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            mask = selected_shape(self._window.selected_display_item)
        except UserError as error:
            self._tell(str(error))
        else:
            expression = self._form.texts()["expression"].strip()
            self._set_text("expression", f"{expression} + {mask}" if expression else mask)

    def save_model_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if file := files.ask_to_save(self._window, "Save the model", files.MODEL_FILES):
            self.save_model(file)

    def save_model(self, file: pathlib.Path) -> None:
        """Save what the last run's model has learned."""
        if self._results.model is not None:
            use = "a later run can start from it"
            self._tell(files.save("model", self._results.model.save, file, files.MODEL_SUFFIX, use))

    def save_reference_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if file := files.ask_to_save(self._window, "Save the reference", files.REFERENCE_FILES):
            self.save_reference(file)

    def save_reference(self, file: pathlib.Path) -> None:
        """Save the last run's reference."""
        if self._results.reference is not None:
            write = functools.partial(save_reference, self._results.reference)
            use = "a later run can take it from the file"
            self._tell(files.save("reference", write, file, files.REFERENCE_SUFFIX, use))
