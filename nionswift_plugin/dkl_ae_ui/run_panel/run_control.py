"""Starts, holds and ends one run: the thread that measures, and the recorder on the window's thread."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import pathlib
import threading
import typing
from collections.abc import Callable, Collection, Mapping

from nion.data import DataAndMetadata
from nion.swift import DocumentController
from nion.utils import Registry

from dkl_ae.experiment import Command, require_known
from dkl_ae.instruments import SurveySize
from dkl_ae.patterns import Reference
from dkl_ae.records import InstrumentError, UserError, described
from dkl_ae.run import CommandApplied, Event, InterruptedRun, RunEnded, Runner
from dkl_ae.scalarizers import Scalarizer, scalarizers_of
from dkl_ae.session import About, SessionWriter, open_session, require_resumable, take_up
from dkl_ae.settings import USE_SELECTED_SURVEY, DeviceSettings, Plan
from nionswift_plugin.dkl_ae_kit import RUN_COMPONENT
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.microscope import SwiftInstrument
from nionswift_plugin.dkl_ae_ui.project.recorder import Recorder
from nionswift_plugin.dkl_ae_ui.project.run_description import RunDescription
from nionswift_plugin.dkl_ae_ui.project.session_files import new_session_file

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel

logger = logging.getLogger(__name__)

T = typing.TypeVar("T")

KIND = "swift"
"""Of a session's instrument."""


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedRun:
    """A run that can start."""

    instrument: SwiftInstrument
    plan: Plan
    """As the run begins."""
    scalarizers: Mapping[str, Scalarizer]
    """Those that read the patterns, by name."""
    title: str
    session: SessionWriter
    interrupted: InterruptedRun | None = None
    """The run that goes on; None for a new one."""


def expected_survey(window: DocumentController.DocumentController, plan: Plan) -> SurveySize | None:
    """The size of the survey that a run would have as all is set now; None while it could not begin."""
    try:
        given = _given_survey(window, plan)
        scan = _chosen_microscope(plan.devices).scan
        return microscope.survey_size(given, scan.get_current_frame_parameters())
    except UserError:
        return None


def new_run(window: DocumentController.DocumentController, plan: Plan) -> PreparedRun:
    """Raises UserError, one sentence, when the run cannot start."""
    _require_no_other()
    scalarizers = scalarizers_of(plan.objective)
    require_known(plan, scalarizers)
    instrument = _instrument(plan, given_survey=_given_survey(window, plan))
    start = datetime.datetime.now()
    title = f"{scalarizers[plan.objective.scalarizer].label}, {start:%Y-%m-%d %H:%M:%S}"
    file = new_session_file(window, plan.objective.scalarizer, start)
    about = About(title, {"kind": KIND, "scan": instrument.scan_settings})
    return PreparedRun(instrument, plan, scalarizers, title, SessionWriter(file, plan, scalarizers, about))


def resumed_run(
    window: DocumentController.DocumentController, session: pathlib.Path, confirmed: Collection[str]
) -> PreparedRun:
    """The run of a session goes on, on the scan of then.

    confirmed: see `take_up`.

    Raises UserError, one sentence, when it cannot; UnconfirmedFileError when a file has to be confirmed first.
    """
    _require_no_other()
    with open_session(session) as opened:
        if opened.instrument.get("kind") != KIND:
            raise UserError(f"{session.name} did not begin in Swift: run dkl-ae resume on it.")
        require_resumable(opened, confirmed)
        scan_settings, plan = opened.instrument.get("scan"), opened.plan
    instrument = _instrument(plan, scan_settings=scan_settings)
    interrupted, scalarizers, writer = take_up(session, confirmed)
    start = datetime.datetime.now()
    title = f"{scalarizers[plan.objective.scalarizer].label}, {start:%Y-%m-%d %H:%M:%S}, resumed"
    return PreparedRun(instrument, interrupted.plan, scalarizers, title, writer, interrupted)


class RunControl:
    """One run, and what is asked of it once it has ended. Made, used and closed on the window's thread.

    on_event and on_failure: see Recorder.
    """

    def __init__(
        self,
        window: DocumentController.DocumentController,
        prepared: PreparedRun,
        on_event: Callable[[Event], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.plan = prepared.plan
        self.session = prepared.session.file
        self.scalarizers = prepared.scalarizers
        self.refitting = False
        """Whether the run has ended and its readings are being modelled anew."""
        self._listener = on_event
        self._on_failure = on_failure
        self._ended = False
        self._switch: threading.Thread | None = None
        self.recorder = Recorder(
            window,
            self.plan,
            self.scalarizers,
            RunDescription(prepared.title, prepared.session.file),
            self._on_event,
            on_failure,
        )
        self._runner = Runner(
            prepared.instrument,
            self.plan,
            self.recorder.record,
            scalarizers=self.scalarizers,
            recorder=prepared.session,
            interrupted=prepared.interrupted,
        )
        self.notice = " ".join(filter(None, (prepared.instrument.notice, prepared.session.notice)))
        self._thread = threading.Thread(target=self._runner.run, name="dkl-ae run", daemon=True)
        Registry.register_component(self, {RUN_COMPONENT})
        self._thread.start()

    def pause(self) -> None:
        self._runner.pause()

    def resume(self) -> None:
        self._runner.resume()

    @property
    def is_held(self) -> bool:
        """See `Runner.is_held`."""
        return self._runner.is_held

    def stop(self) -> None:
        self._runner.stop()

    def give(self, command: Command) -> None:
        """See `Runner.give`; once the run has ended it takes a second, which the window need not wait for."""
        self.refitting = self._ended
        self._switch = threading.Thread(target=self._give, args=(command,), name="dkl-ae command", daemon=True)
        self._switch.start()

    def _give(self, command: Command) -> None:
        try:
            self._runner.give(command)
        except UserError as error:
            self._switch_failed(str(error))
        except Exception as error:
            logger.exception("The command %s failed.", command)
            self._switch_failed(f"The program failed to change the run ({described(error)}): see the log for details.")

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
        if isinstance(event, CommandApplied):
            self.refitting = False
        self._listener(event)

    def _forget(self) -> None:
        if Registry.get_component(RUN_COMPONENT) is self:
            Registry.unregister_component(self, {RUN_COMPONENT})


def _require_no_other() -> None:
    if Registry.get_component(RUN_COMPONENT) is not None:
        raise UserError("A run is under way already: stop it before you start another.")


def _instrument(
    plan: Plan,
    *,
    given_survey: DataAndMetadata.DataAndMetadata | None = None,
    scan_settings: Mapping[str, typing.Any] | None = None,
) -> SwiftInstrument:
    """The devices of a plan, which nobody else may be using."""
    instrument = SwiftInstrument(
        _chosen_microscope(plan.devices),
        channel=plan.devices.channel,
        exposure_ms=plan.exposure.exposure_ms,
        given_survey=given_survey,
        scan_settings=scan_settings,
    )
    instrument.require_idle()
    return instrument


def _chosen_microscope(devices: DeviceSettings) -> microscope.Microscope:
    stems = microscope.instruments()
    if not stems:
        raise InstrumentError("Swift has no microscope: connect one or install a simulated one, then restart Swift.")
    stem = _chosen("microscope", devices.instrument_id, {microscope.identifier(s): s for s in stems})
    name = microscope.identifier(stem)
    scan = microscope.scan_of(stem)
    if scan is None:
        raise InstrumentError(f"The microscope '{name}' has no scan: choose another in the panel.")
    cameras = {camera.hardware_source_id: camera for camera in microscope.cameras_of(stem)}
    if not cameras:
        raise InstrumentError(f"The microscope '{name}' has no camera: connect one, or choose another microscope.")
    if devices.channel >= scan.channel_count:
        raise InstrumentError(
            f"{scan.display_name} has {scan.channel_count} channels but number {devices.channel + 1} was chosen: "
            "choose another."
        )
    return microscope.Microscope(stem, scan, _chosen("camera", devices.camera_id, cameras))


def _chosen(what: str, key: str, there: Mapping[str, T]) -> T:
    """What has this key, or the first when none was chosen."""
    if key and key not in there:
        raise InstrumentError(f"The {what} '{key}' is not there any more: choose another in the panel.")
    return there[key] if key else next(iter(there.values()))


def _given_survey(window: DocumentController.DocumentController, plan: Plan) -> DataAndMetadata.DataAndMetadata | None:
    if plan.devices.survey_source != USE_SELECTED_SURVEY:
        return None
    item = window.selected_data_item
    if item is None or item.xdata is None:
        raise InstrumentError(
            "No data item is selected: select the frame of the last scan, or choose to acquire a new survey."
        )
    return item.xdata
