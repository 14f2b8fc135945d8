"""Starts, holds and ends one run: the thread that measures, and the recorder on the window's thread."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import pathlib
import threading
import typing
from collections.abc import Callable, Mapping

from nion.data import DataAndMetadata
from nion.swift import DocumentController
from nion.utils import Registry

from dkl_ae.patterns import Reference
from dkl_ae.records import InstrumentError, UserError
from dkl_ae.run import DriverChanged, Event, RunEnded, Runner
from dkl_ae.session import About, SessionWriter, open_session, take_up
from nionswift_plugin.dkl_ae_kit import RUN_COMPONENT
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.project.recorder import Recorder
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.session_files import new_session_file
from nionswift_plugin.dkl_ae_ui.run_panel.settings import ACQUIRE_SURVEY, USE_SELECTED_SURVEY, Settings

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel

logger = logging.getLogger(__name__)

T = typing.TypeVar("T")

KIND = "swift"
"""Of a session's instrument."""


class RunControl:
    """One run, and what is asked of it once it has ended. Made, used and closed on the window's thread.

    on_event and on_failure: see Recorder.
    session: file of a session that is to go on; None to begin a run.

    Raises UserError, one sentence, when the run cannot start.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        settings: Settings,
        on_event: Callable[[Event], None],
        on_failure: Callable[[str], None],
        session: pathlib.Path | None = None,
    ) -> None:
        if Registry.get_component(RUN_COMPONENT) is not None:
            raise UserError("A run is under way already: stop it before you start another.")
        adopted = _instrument_of(session) if session is not None else {}
        if session is not None:
            settings = dataclasses.replace(Settings.from_texts(adopted["settings"]), survey_source=ACQUIRE_SURVEY)
        instrument = microscope.SwiftInstrument(
            _chosen_microscope(settings),
            channel=settings.channel,
            exposure_s=settings.exposure_ms / 1000,
            given_survey=_given_survey(window, settings),
            scan_settings=adopted.get("scan"),
        )
        instrument.require_idle()
        self.refitting = False
        """Whether the run has ended and its readings are being modelled anew."""
        self._listener = on_event
        self._on_failure = on_failure
        self._ended = False
        self._switch: threading.Thread | None = None
        left, kept = take_up(session) if session is not None else (None, None)
        self.plan = left.plan if left is not None else settings.plan
        start = datetime.datetime.now()
        self.session = session or new_session_file(window, self.plan.scalarizer, start)
        title = f"{self.plan.driver.label}, {start:%Y-%m-%d %H:%M:%S}{', resumed' if left is not None else ''}"
        self.recorder = Recorder(window, self.plan, RunDescription(title, self.session), self._on_event, on_failure)
        if kept is None:
            about = {"kind": KIND, "settings": settings.to_texts(), "scan": instrument.scan_settings}
            kept = SessionWriter(self.session, self.plan, About(title, about))
        self._runner = Runner(instrument, self.plan, self.recorder.record, session=kept, left=left)
        self.notice = instrument.notice
        self._thread = threading.Thread(target=self._runner.run, name="dkl-ae run", daemon=True)
        Registry.register_component(self, {RUN_COMPONENT})
        self._thread.start()

    def pause(self) -> None:
        self._runner.pause()

    def resume(self) -> None:
        self._runner.resume()

    def stop(self) -> None:
        self._runner.stop()

    def drive_by(self, scalarizer: str, goal: str, goal_value: float) -> None:
        """See `Runner.drive_by`; once the run has ended it takes a second, which the window need not wait for."""
        self.refitting = self._ended
        self._switch = threading.Thread(
            target=self._drive_by, args=(scalarizer, goal, goal_value), name="dkl-ae switch", daemon=True
        )
        self._switch.start()

    def _drive_by(self, scalarizer: str, goal: str, goal_value: float) -> None:
        try:
            self._runner.drive_by(scalarizer, goal, goal_value)
        except UserError as error:
            self._switch_failed(str(error))
        except Exception as error:
            logger.exception("The run cannot follow %s.", scalarizer)
            self._switch_failed(
                f"{scalarizer} cannot be followed ({type(error).__name__}: {error}): see the log, and choose another."
            )

    def _switch_failed(self, sentence: str) -> None:
        def tell() -> None:
            self.refitting = False
            self._on_failure(sentence)

        self.recorder.tasks.add(tell)

    @property
    def reference(self) -> Reference | None:
        """See `Runner.reference`."""
        return self._runner.reference

    def pretrained(self) -> SavedModel | None:
        """See `Runner.pretrained`."""
        return self._runner.pretrained()

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop the run if it goes on, wait for it, and keep all that it measured."""
        # Stopping aborts whatever the microscope records: after the run that is another's.
        if self._thread.is_alive():
            self._runner.stop()
        for thread in (self._thread, self._switch):
            if thread is not None:
                thread.join(timeout_s)
        self.recorder.close()
        self._forget()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            self._ended = True
            self._forget()
        if isinstance(event, DriverChanged):
            self.refitting = False
        self._listener(event)

    def _forget(self) -> None:
        if Registry.get_component(RUN_COMPONENT) is self:
            Registry.unregister_component(self, {RUN_COMPONENT})


def _instrument_of(session: pathlib.Path) -> Mapping[str, typing.Any]:
    """What a session that began in Swift says of its devices and settings."""
    with open_session(session) as opened:
        if opened.instrument.get("kind") != KIND:
            raise UserError(f"{session.name} did not begin in Swift: run dkl-ae resume on it.")
        return opened.instrument


def _chosen_microscope(settings: Settings) -> microscope.Microscope:
    stems = microscope.instruments()
    if not stems:
        raise InstrumentError("Swift has no microscope: connect one or install a simulated one, then restart Swift.")
    stem = _chosen("microscope", settings.instrument_id, {microscope.identifier(s): s for s in stems})
    name = microscope.identifier(stem)
    scan = microscope.scan_of(stem)
    if scan is None:
        raise InstrumentError(f"The microscope '{name}' has no scan: choose another in the panel.")
    cameras = {camera.hardware_source_id: camera for camera in microscope.cameras_of(stem)}
    if not cameras:
        raise InstrumentError(f"The microscope '{name}' has no camera: connect one, or choose another microscope.")
    if settings.channel >= scan.channel_count:
        raise InstrumentError(
            f"{scan.display_name} has {scan.channel_count} channels but number {settings.channel + 1} was chosen: "
            "choose another."
        )
    return microscope.Microscope(stem, scan, _chosen("camera", settings.camera_id, cameras))


def _chosen(what: str, key: str, there: Mapping[str, T]) -> T:
    """What has this key, or the first when none was chosen."""
    if key and key not in there:
        raise InstrumentError(f"The {what} '{key}' is not there any more: choose another in the panel.")
    return there[key] if key else next(iter(there.values()))


def _given_survey(
    window: DocumentController.DocumentController, settings: Settings
) -> DataAndMetadata.DataAndMetadata | None:
    if settings.survey_source != USE_SELECTED_SURVEY:
        return None
    item = window.selected_data_item
    if item is None or item.xdata is None:
        raise InstrumentError(
            "No data item is selected: select the frame of the last scan, or choose to acquire a new survey."
        )
    return item.xdata
