"""The panel "Automated Experiment Review": a saved session, point by point, without a microscope."""

from __future__ import annotations

import functools
import pathlib
import threading
import typing

from nion.swift import DisplayPanel, DocumentController
from nion.swift.model import DisplayItem
from nion.ui import Declarative, UserInterface
from nion.utils import Geometry, Model

from dkl_ae.analysis import nearest_step, step_record
from dkl_ae.records import FloatArray, UserError, described, sentence_of
from dkl_ae.run import dose_text
from dkl_ae.session import SUFFIX, Session, open_session
from nionswift_plugin.dkl_ae_kit import WindowTasks
from nionswift_plugin.dkl_ae_ui.project.session_files import sessions_folder
from nionswift_plugin.dkl_ae_ui.review_panel import texts
from nionswift_plugin.dkl_ae_ui.review_panel.displays import Displays
from nionswift_plugin.dkl_ae_ui.review_panel.images import Images
from nionswift_plugin.dkl_ae_ui.review_panel.project_runs import ProjectRun, session_file_of
from nionswift_plugin.dkl_ae_ui.review_panel.refitting import MapRequest, MapResult, Refitting, recorded_result
from nionswift_plugin.dkl_ae_ui.review_panel.reporting import report
from nionswift_plugin.dkl_ae_ui.review_panel.view import build_view

_SESSION_FILES = f"Sessions (*{SUFFIX});;All files (*.*)"
_AS_RECORDED = "As recorded"


class Handler(Declarative.Handler):
    """The panel's state. Runs on the window's thread throughout."""

    step_slider: UserInterface.SliderWidget
    """Swift sets it when it makes the panel's widgets."""

    def __init__(self, window: DocumentController.DocumentController) -> None:
        super().__init__()
        self._window = window
        self._session: Session | None = None
        self._images: Images | None = None
        """Of the session that is open."""
        self._picked: int | None = None
        """The step whose pattern the user has asked for; None for that of the slider's."""
        self._result: MapResult | None = None
        """What the model says, or would have said."""
        self._is_due = False
        """Whether the step will be drawn: however far the slider moves meanwhile, once."""
        self._tasks = WindowTasks(window, self._on_failure)
        self._displays = Displays(window)
        self._refitting = Refitting(lambda result: self._tasks.add(lambda: self._on_result(result)))
        # Declarative widgets find what they bind to by attribute name.
        self.is_open = Model.PropertyModel[bool](False)
        self.step = Model.PropertyModel[int](1)
        self.step.on_value_changed = lambda number: self._step_changed()
        self.scalarizer_labels = Model.PropertyModel[list[str]]([_AS_RECORDED])
        self.scalarizer_index = Model.PropertyModel[int](0)
        self.scalarizer_index.on_value_changed = lambda index: self._request_maps()
        self.title_text = Model.PropertyModel[str]("")
        self.about_text = Model.PropertyModel[str]("")
        self.message_text = Model.PropertyModel[str]("Open the session of a run to go through its points.")
        self.step_text = Model.PropertyModel[str]("")
        self.maps_text = Model.PropertyModel[str]("")
        self.chosen_text = Model.PropertyModel[str]("")
        self.expected_text = Model.PropertyModel[str]("")
        self.read_text = Model.PropertyModel[str]("")
        self.intervals_text = Model.PropertyModel[str]("")
        self.dose_text = Model.PropertyModel[str]("")
        self.time_text = Model.PropertyModel[str]("")
        self.model_text = Model.PropertyModel[str]("")
        self.pattern_text = Model.PropertyModel[str]("")
        clicked = DisplayPanel.DisplayPanelManager().image_display_clicked_event
        self._clicks: typing.Any = clicked.listen(self._image_clicked)
        self.ui_view = build_view()

    def close(self) -> None:
        # Dropping a listener ends it.
        self._clicks = None
        self._refitting.submit(None)
        self._close_session()
        self._displays.close()
        super().close()

    # What the user does.

    def open_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        folder = str(sessions_folder(self._window))
        chosen, _, _ = self._window.get_file_path_dialog("Review a session", folder, _SESSION_FILES)
        if chosen:
            self.open_file(pathlib.Path(str(chosen)))

    def open_selected_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            file = session_file_of(self._window.selected_data_item)
        except UserError as error:
            self._tell(str(error))
            return
        if file.exists():
            self.open_file(file)
        else:
            self._tell(f"The session of this run was {file}, which is gone: press Open session... and choose it.")

    def open_file(self, file: pathlib.Path) -> None:
        """Review a session; the one before it is closed, unless this one cannot be opened."""
        try:
            session = open_session(file)
        except UserError as error:
            self._tell(str(error))
            return
        if not session.count:
            session.close()
            self._tell(f"{file} holds no measurement, as its run ended before the first: choose another session.")
            return
        self._close_session()
        self.title_text.value = session.title or session.file.name
        self.about_text.value = texts.about_session(session)
        self._tell(" ".join(session.losses))
        self.scalarizer_labels.value = [_AS_RECORDED, *(s.title for s in session.scalarizers.values())]
        self.scalarizer_index.value = 0
        self.step_slider.maximum = session.count
        self.step.value = session.count
        self.is_open.value = True
        self._session, self._images = session, Images(session)
        self._redraw()
        if session.reference is not None:
            self._tasks.add(functools.partial(self._displays.draw_reference, session.reference))
        self._tasks.add(self._displays.show_workspace)
        self._tasks.add(functools.partial(self._compare, session))

    def report_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        if self._session is not None:
            file, title = self._session.file, "Make a folder with the report in"
            chosen, _ = self._window.ui.get_existing_directory_dialog(title, str(file.parent))
            if chosen:
                self.write_report(pathlib.Path(chosen, f"{file.stem} report"))

    def write_report(self, folder: pathlib.Path) -> None:
        """Write the session's report; the window goes on meanwhile."""
        if self._session is None:
            return
        file = self._session.file

        def work() -> None:
            sentence = report(file, folder)
            self._tasks.add(lambda: self._tell(sentence))

        self._tell("Writing the report...")
        threading.Thread(target=work, name="dkl-ae report").start()

    def back_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self.go_to(self._number - 1)

    def forward_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        self.go_to(self._number + 1)

    def go_to(self, number: int) -> None:
        """Move the slider to a step, as far as there is one."""
        if self._session is not None:
            self.step.value = min(max(number, 1), self._session.count)

    def scalarizer_changed(self, widget: Declarative.UIWidget, current_index: int) -> None:
        self.scalarizer_index.value = current_index

    def _image_clicked(
        self,
        display_panel: DisplayPanel.DisplayPanel,
        display_item: DisplayItem.DisplayItem,
        pixel: Geometry.FloatPoint,
        modifiers: UserInterface.KeyboardModifiers,
    ) -> bool:
        """Show the pattern of the visited point next to a click on the path."""
        place = self._displays.place_on_path(display_item, pixel)
        if self._session is None or place is None or display_panel.document_controller is not self._window:
            return False
        self._picked = nearest_step(self._session, place, self._number)
        self._redraw()
        return True

    # What is shown of a step.

    @property
    def _number(self) -> int:
        return self.step.value or 1

    def _step_changed(self) -> None:
        self._picked = None
        self._request_maps()

    def _request_maps(self) -> None:
        """The slider has moved, or other maps are chosen."""
        request = self._map_request()
        self._refitting.submit(request if request is not None and request.scalarizer else None)
        self._redraw()

    def _map_request(self) -> MapRequest | None:
        if self._session is None:
            return None
        names = [None, *self._session.scalarizers]
        return MapRequest(self._session, self._number, names[self.scalarizer_index.value or 0])

    def _on_result(self, result: MapResult) -> None:
        self._result = result
        self._redraw()

    def _redraw(self) -> None:
        if self._session is not None and not self._is_due:
            self._is_due = True
            self._tasks.add(self._draw)

    def _draw(self) -> None:
        self._is_due = False
        request, images = self._map_request(), self._images
        if request is None or images is None:
            return
        if request.scalarizer is None:
            self._result = recorded_result(request)
        result = self._result if self._result is not None and self._result.request == request else None
        view, upcoming = (result.view, result.upcoming) if result is not None else (None, None)
        number, picked, objective = request.number, self._picked or request.number, request.objective
        self._describe(request, result, picked, images.standardized_errors)
        pictures = [images.path(number, picked, upcoming), images.pattern(picked)]
        if result is not None or self._result is None:
            pictures += images.maps(view)
        pictures += images.curves(number, objective)
        # One after the other, so that the window can do something else in between.
        self._tasks.split(*(functools.partial(self._displays.show, picture) for picture in pictures))

    def _describe(
        self, request: MapRequest, result: MapResult | None, picked: int, standardized_errors: FloatArray
    ) -> None:
        session, step = request.session, step_record(request.session, request.number)
        self.step_text.value = f"{step.number} of {session.count}"
        self.maps_text.value = texts.maps(request, result)
        self.chosen_text.value = texts.chosen_by(step)
        self.expected_text.value = texts.expected(step)
        self.read_text.value = texts.read(step)
        self.intervals_text.value = texts.intervals(standardized_errors[: step.number])
        self.dose_text.value = dose_text(step.dose)
        self.time_text.value = texts.times(step)
        self.model_text.value = texts.model(result)
        self.pattern_text.value = texts.pattern(step_record(session, picked))

    # Whether the project agrees.

    def _compare(self, session: Session) -> None:
        """Say whether the project's data items of the run, where it has some, are what the session holds."""
        run = ProjectRun.of(self._window.document_model, session)
        if run is not None:
            self._compare_from(session, run, 0, ())

    def _compare_from(self, session: Session, run: ProjectRun, index: int, differing: tuple[int, ...]) -> None:
        # A measurement a task: patterns take long to read, and the window goes on.
        if self._session is not session:
            return
        if index < min(run.count, session.count):
            differing = differing if run.agrees(session, index) else (*differing, index + 1)
            self._tasks.add(functools.partial(self._compare_from, session, run, index + 1, differing))
            return
        self._tell(" ".join([*session.losses, texts.agreement(run.count, session.count, differing)]))

    def _tell(self, sentence: str) -> None:
        self.message_text.value = sentence

    def _on_failure(self, error: Exception) -> None:
        if isinstance(error, OSError):
            reason = described(error)
            self._tell(f"This point cannot be shown ({reason}): go to another, or restore the session from a copy.")
        else:
            self._tell(sentence_of(error, "this point cannot be shown"))

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = self._images = self._result = self._picked = None
