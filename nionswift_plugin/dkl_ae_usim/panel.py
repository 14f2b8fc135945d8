"""The panel "4D-STEM Simulator": what is in the simulated microscope."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping

from nion.swift import DocumentController
from nion.ui import Declarative
from nion.utils import Geometry, Model, Registry

from dkl_ae.records import UserError
from dkl_ae.simulation import PRESETS, Column, VirtualColumn
from nionswift_plugin.dkl_ae_kit import RUN_COMPONENT, SIMULATOR_PANEL_ID, PanelKind, rows
from nionswift_plugin.dkl_ae_usim.configuration import MicroscopeConfiguration
from nionswift_plugin.dkl_ae_usim.scan import probe_fraction
from nionswift_plugin.dkl_ae_usim.settings import (
    CAMERAS,
    NUMBER_FIELDS,
    RECORDING_FILE,
    SPECIMENS,
    STRUCTURE_FILE,
    SimulatorSettings,
)

_LABEL_WIDTH = 96
_FIELD_WIDTH = 200
_NO_SITE = "Choose a place"
_FILE_FILTERS: Mapping[str, str] = {
    STRUCTURE_FILE: "Structures (*.cif *.xyz);;All files (*.*)",
    RECORDING_FILE: "4D-STEM data (*.h5 *.hdf5 *.hspy *.emd *.dm3 *.dm4 *.mib *.blo *.ndata *.npy);;All files (*.*)",
}


class SimulatorHandler(Declarative.Handler):
    """The panel's state. Runs on the window's thread throughout."""

    def __init__(self, window: DocumentController.DocumentController, microscope: MicroscopeConfiguration) -> None:
        super().__init__()
        self._window = window
        self._microscope = microscope
        self._texts = SimulatorSettings().to_texts()
        self._sites: list[str] = []
        self.specimen_labels = Model.PropertyModel[list[str]](list(SPECIMENS.values()))
        self.camera_labels = Model.PropertyModel[list[str]](list(CAMERAS.values()))
        self.specimen_index = Model.PropertyModel[int](list(SPECIMENS).index(self._texts["specimen"]))
        self.camera_index = Model.PropertyModel[int](list(CAMERAS).index(self._texts["camera"]))
        self.site_labels = Model.PropertyModel[list[str]]([_NO_SITE])
        self.site_index = Model.PropertyModel[int](0)
        self.needs_file = Model.PropertyModel[bool](False)
        self.can_load = Model.PropertyModel[bool](True)
        self.message = Model.PropertyModel[str]("")
        self.description = Model.PropertyModel[str]("")
        # Declarative widgets find what they bind to by attribute name.
        for name in ("file", *(field.name for field in NUMBER_FIELDS)):
            setattr(self, f"{name}_text", Model.PropertyModel[str](self._texts[name]))
            setattr(self, f"{name}_edited", functools.partial(self._text_edited, name))
        self._describe()
        self._show(microscope.instrument.column)
        self.ui_view = _build_view()

    def set_text(self, name: str, text: str) -> None:
        """Set one setting, by its name in SimulatorSettings, as if the user had."""
        if name == "specimen":
            self.specimen_index.value = list(SPECIMENS).index(text)
        elif name == "camera":
            self.camera_index.value = list(CAMERAS).index(text)
        else:
            getattr(self, f"{name}_text").value = text
        self._texts[name] = text
        self._describe()
        self._check()

    # What the user does.

    def specimen_changed(self, widget: Declarative.UIWidget, current_index: int) -> None:
        self.specimen_index.value = current_index
        self._texts["specimen"] = list(SPECIMENS)[current_index]
        self._describe()
        self._check()

    def camera_changed(self, widget: Declarative.UIWidget, current_index: int) -> None:
        self.camera_index.value = current_index
        self._texts["camera"] = list(CAMERAS)[current_index]
        self._check()

    def browse_clicked(self, widget: Declarative.UIWidget) -> None:
        kinds = _FILE_FILTERS[self._texts["specimen"]]
        chosen, _, _ = self._window.get_file_path_dialog("Choose a file", "", kinds)
        if chosen:
            self.set_text("file", str(chosen))

    def load_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        try:
            settings = SimulatorSettings.from_texts(self._texts)
            column = settings.make_column()
        except UserError as error:
            self.message.value = str(error)
            return
        try:
            if Registry.get_component(RUN_COMPONENT) is not None:
                raise UserError("An automated experiment is running: stop it, then load again.")
            self._microscope.load(column, settings.beam_current_pa * 1e-12)
        except UserError as error:
            column.close()
            self.message.value = str(error)
            return
        self._show(column)

    def park_clicked(self, widget: Declarative.UIWidget | None = None) -> None:
        instrument = self._microscope.instrument
        column, index = instrument.column, self.site_index.value or 0
        if index == 0 or not isinstance(column, VirtualColumn):
            self.message.value = "No place is chosen: choose one to the left of the button."
            return
        scan = instrument.scan_controller
        if scan is None or not scan.scan_context.size:
            self.message.value = "The scan has not run yet: play it once, so that the probe's place can be seen."
            return
        site = self._sites[index - 1]
        fraction = probe_fraction(scan.scan_context, *instrument.scan_position_nm(*column.specimen.sites[site]))
        if not (0 <= fraction[0] <= 1 and 0 <= fraction[1] <= 1):
            self.message.value = f"The {site} is outside the present scan: scan the whole field, then park again."
            return
        if scan.is_playing:
            scan.stop_playing()
        instrument.set_probe_position(Geometry.FloatPoint(*fraction))
        self.message.value = f"The probe is parked: {site}."

    def _text_edited(self, name: str, widget: Declarative.UIWidget, text: str) -> None:
        # Writing it back to the edit at each key would select what was typed.
        self._texts[name] = text
        self._check()

    # What the panel says.

    def _check(self) -> None:
        """Say at once what cannot work."""
        try:
            SimulatorSettings.from_texts(self._texts)
        except UserError as error:
            self.can_load.value = False
            self.message.value = str(error)
        else:
            self.can_load.value = True
            self.message.value = "Press Load to put this into the microscope."

    def _describe(self) -> None:
        """Explain what is chosen."""
        chosen = self._texts["specimen"]
        self.needs_file.value = chosen in _FILE_FILTERS
        if chosen in PRESETS:
            self.description.value = PRESETS[chosen].description
        elif chosen == STRUCTURE_FILE:
            self.description.value = "Atoms from a file, seen along z; a crystal is repeated over 5 nm."
        else:
            self.description.value = "A recorded scan in place of a specimen; drift, damage and camera do not apply."

    def _show(self, column: Column) -> None:
        """Say what is in the microscope now."""
        (height, width), (rows, columns) = column.extent_nm, column.detector_shape
        self.message.value = f"Loaded: {column.name}, {width:.3g} x {height:.3g} nm, {columns} x {rows} px patterns."
        self._sites = sorted(column.specimen.sites) if isinstance(column, VirtualColumn) else []
        self.site_index.value = 0
        self.site_labels.value = [_NO_SITE, *self._sites]
        logging.info("4D-STEM Simulator: %s", self.message.value)


def simulator_panel(microscope: MicroscopeConfiguration) -> PanelKind[SimulatorHandler]:
    """The panel of one microscope."""
    make_handler = functools.partial(SimulatorHandler, microscope=microscope)
    return PanelKind(SIMULATOR_PANEL_ID, "4D-STEM Simulator", "right", 320, make_handler)


def _build_view() -> Declarative.UIDescriptionResult:
    """The description from which Swift makes the widgets; they bind to the handler's attributes by name."""
    u = Declarative.DeclarativeUI()
    choice = functools.partial(rows.choice_row, u, enabled=None, label_width=_LABEL_WIDTH, width=_FIELD_WIDTH)
    file = u.create_row(
        u.create_label(text="File", width=_LABEL_WIDTH),
        u.create_line_edit(
            name="file_edit",
            text="@binding(file_text.value)",
            on_text_edited="file_edited",
            enabled="@binding(needs_file.value)",
            width=_FIELD_WIDTH - 72,
            tool_tip="A structure (.cif, .xyz) or a recording with its survey (.h5, .hspy, .emd, .dm4, ...).",
        ),
        u.create_push_button(
            name="browse_button", text="Browse...", on_clicked="browse_clicked", enabled="@binding(needs_file.value)"
        ),
        u.create_stretch(),
        spacing=6,
    )
    load = u.create_row(
        u.create_push_button(
            name="load_button",
            text="Load",
            on_clicked="load_clicked",
            enabled="@binding(can_load.value)",
            tool_tip="Put this into the microscope and set the scan to show all of it; live views end.",
        ),
        u.create_stretch(),
    )
    message = u.create_label(
        name="message_label",
        text="@binding(message.value)",
        word_wrap=True,
        width=_LABEL_WIDTH + _FIELD_WIDTH,
        height=3 * rows.LINE_HEIGHT,
    )
    park = u.create_row(
        u.create_combo_box(
            name="site_combo",
            items_ref="@binding(site_labels.value)",
            current_index="@binding(site_index.value)",
            width=_FIELD_WIDTH,
            tool_tip="Where things are in this specimen.",
        ),
        u.create_push_button(
            name="park_button",
            text="Park probe",
            on_clicked="park_clicked",
            tool_tip="End the scan and put the probe on that place.",
        ),
        u.create_stretch(),
        spacing=6,
    )
    description = u.create_label(
        text="@binding(description.value)",
        word_wrap=True,
        width=_LABEL_WIDTH + _FIELD_WIDTH,
        height=3 * rows.LINE_HEIGHT,
    )
    return u.create_column(
        choice("specimen", "Specimen", "What the beam meets."),
        description,
        file,
        *(rows.number_row(u, field, enabled=None, label_width=_LABEL_WIDTH) for field in NUMBER_FIELDS),
        choice(
            "camera",
            "Camera",
            "Of a specimen: either one count for each electron, or gain, dark current, readout noise, dead and hot "
            "pixels, saturation, descan, rotation and ellipticity.",
        ),
        load,
        message,
        park,
        u.create_stretch(),
        spacing=4,
        margin=4,
    )
