"""What the panel looks like. Its widgets bind to the attributes of `panel.Handler` by name."""

from __future__ import annotations

from collections.abc import Sequence

from nion.ui import Declarative

from dkl_ae.scalarizers import SCALARIZERS
from nionswift_plugin.dkl_ae_ui.settings import NUMBER_FIELDS, NumberField

_LABEL_WIDTH = 142
_CHOICE_WIDTH = 176
_NUMBER_WIDTH = 72
_STATE_LABEL_WIDTH = 96
_LINE_HEIGHT = 16


def build_view() -> Declarative.UIDescriptionResult:
    """The description from which Swift makes the widgets."""
    u = Declarative.DeclarativeUI()
    numbers = {field.name: _number_row(u, field) for field in NUMBER_FIELDS}
    run = u.create_column(
        _choice_row(
            u,
            "scalarizer",
            "Scalarizer",
            "\n".join(f"{s.label}: {s.description}" for s in SCALARIZERS.values()),
        ),
        _choice_row(
            u,
            "goal",
            "Seek",
            "What the run looks for; of an angle the largest is the direction +x, the smallest -x.",
        ),
        numbers["goal_value"],
        numbers["exposure_ms"],
        numbers["patch_size"],
        numbers["seed_points"],
        numbers["steps"],
        _choice_row(u, "acquisition", "Acquisition", "@binding(acquisition_tip.value)"),
        numbers["acquisition_parameter"],
        u.create_stretch(),
        spacing=2,
        margin=2,
    )
    devices = u.create_column(
        _choice_row(u, "instrument_id", "Microscope", "The instrument that is driven."),
        _choice_row(
            u,
            "survey_source",
            "Survey",
            "Acquire a new frame with the scan's current settings, or use the selected data item when it is "
            "a frame of the scan as it is set now.",
        ),
        _choice_row(u, "channel", "Scan channel", "The detector of the survey."),
        _choice_row(u, "camera_id", "Camera", "The camera of the diffraction patterns."),
        _choice_row(
            u,
            "device",
            "Computes on",
            "Where the model is trained; Automatic takes the GPU when there is one.",
        ),
        u.create_stretch(),
        spacing=2,
        margin=2,
    )
    more = u.create_column(
        _choice_row(
            u,
            "embedding",
            "Model",
            "What the deep kernel looks at. With both, the readings decide how much the network has to say.",
        ),
        _start_from_row(u),
        numbers["batch_size"],
        numbers["travel_cost"],
        numbers["least_spacing_nm"],
        numbers["random_seed"],
        u.create_stretch(),
        spacing=2,
        margin=2,
    )
    buttons = u.create_row(
        u.create_push_button(
            name="start_button",
            text="Start",
            on_clicked="start_clicked",
            enabled="@binding(can_start.value)",
            tool_tip="Acquire the survey and begin to measure.",
        ),
        u.create_push_button(
            name="pause_button",
            text="@binding(pause_label.value)",
            on_clicked="pause_clicked",
            enabled="@binding(running.value)",
            tool_tip="Hold after the step under way with the beam blanked, or go on.",
        ),
        u.create_push_button(
            name="stop_button",
            text="Stop",
            on_clicked="stop_clicked",
            enabled="@binding(running.value)",
            tool_tip="End the run at once, even during an exposure; all that was measured is kept.",
        ),
        u.create_push_button(
            name="save_model_button",
            text="Save model...",
            on_clicked="save_model_clicked",
            enabled="@binding(can_save_model.value)",
            tool_tip="Keep what the last run's model has learned, to start another run from.",
        ),
        u.create_stretch(),
        spacing=8,
    )
    state = u.create_column(
        u.create_progress_bar(
            value="@binding(progress.value)", name="progress_bar", width=_LABEL_WIDTH + _CHOICE_WIDTH
        ),
        _state_row(u, "Progress", "step", "Points measured so far, seeds included."),
        _state_row(
            u,
            "Time per step",
            "time",
            "Measuring: move, expose, read out, scalarize. Model: retrain, predict, choose.",
        ),
        _state_row(
            u,
            "Dose so far",
            "dose",
            "Beam current times exposure over everything exposed, survey and reference included.",
        ),
        _state_row(
            u,
            "Best so far",
            "best",
            "The reading closest to what is sought and where it was found, from the survey's centre.",
            lines=2,
        ),
        u.create_label(
            text="@binding(model_text.value)",
            word_wrap=True,
            width=_LABEL_WIDTH + _CHOICE_WIDTH,
            height=2 * _LINE_HEIGHT,
            tool_tip="Which part of the model explains the readings: the local structure, a trend with brightness, "
            "what differs between a patch and its turned or mirrored images, and what the patch does not tell; how "
            "much of what it looks at comes from the network; and by what factor its intervals were widened after the "
            "seeds were checked.",
        ),
        spacing=2,
    )
    message = u.create_label(
        name="message_label",
        text="@binding(message.value)",
        word_wrap=True,
        width=_LABEL_WIDTH + _CHOICE_WIDTH,
        height=2 * _LINE_HEIGHT,
        tool_tip="What the run is doing, or what stands in its way.",
    )
    # What changes during a run comes first: a low window cuts off the settings, not the message.
    return u.create_column(
        buttons,
        message,
        state,
        # In tabs, so that the panel fits a small screen.
        u.create_tabs(
            u.create_tab("Run", run),
            u.create_tab("Devices", devices),
            u.create_tab("More", more),
            name="settings_tabs",
            current_index="@binding(tab_index.value)",
        ),
        u.create_stretch(),
        spacing=4,
        margin=4,
    )


def _choice_row(u: Declarative.DeclarativeUI, name: str, label: str, tool_tip: str) -> Declarative.UIDescriptionResult:
    return _row(
        u,
        label,
        tool_tip,
        u.create_combo_box(
            name=f"{name}_combo",
            items_ref=f"@binding({name}_labels.value)",
            current_index=f"@binding({name}_index.value)",
            on_current_index_changed=f"{name}_changed",
            enabled="@binding(idle.value)",
            width=_CHOICE_WIDTH,
            tool_tip=tool_tip,
        ),
    )


def _number_row(u: Declarative.DeclarativeUI, field: NumberField) -> Declarative.UIDescriptionResult:
    return _row(
        u,
        field.label,
        field.tool_tip,
        _line_edit(u, field.name, field.tool_tip, enabled="can_seek_value" if field.name == "goal_value" else "idle"),
        u.create_label(text=field.unit),
    )


def _line_edit(
    u: Declarative.DeclarativeUI, name: str, tool_tip: str, *, enabled: str = "idle", width: int = _NUMBER_WIDTH
) -> Declarative.UIDescriptionResult:
    return u.create_line_edit(
        name=f"{name}_edit",
        text=f"@binding({name}_text.value)",
        on_text_edited=f"{name}_edited",
        enabled=f"@binding({enabled}.value)",
        width=width,
        tool_tip=tool_tip,
    )


def _start_from_row(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    tool_tip = (
        "A saved model of the same scalarizer, patch size and pixel size: the run begins with what it knows, and needs "
        "no seed points. Empty to learn from nothing."
    )
    return _row(
        u,
        "Start from",
        tool_tip,
        _line_edit(u, "pretrained", tool_tip, width=_NUMBER_WIDTH + 20),
        u.create_push_button(
            name="browse_button", text="Browse...", on_clicked="browse_clicked", enabled="@binding(idle.value)"
        ),
    )


def _state_row(
    u: Declarative.DeclarativeUI, label: str, name: str, tool_tip: str, lines: int = 1
) -> Declarative.UIDescriptionResult:
    # Of fixed size: the panel must not grow and push the displays about while numbers change.
    return u.create_row(
        u.create_label(text=label, width=_STATE_LABEL_WIDTH, tool_tip=tool_tip),
        u.create_label(
            text=f"@binding({name}_text.value)",
            width=_LABEL_WIDTH + _CHOICE_WIDTH - _STATE_LABEL_WIDTH,
            height=lines * _LINE_HEIGHT,
            word_wrap=True,
            tool_tip=tool_tip,
        ),
        u.create_stretch(),
        spacing=6,
    )


def _row(
    u: Declarative.DeclarativeUI,
    label: str,
    tool_tip: str,
    *widgets: Declarative.UIDescriptionResult,
) -> Declarative.UIDescriptionResult:
    named: Sequence[Declarative.UIDescriptionResult] = (
        u.create_label(text=label, width=_LABEL_WIDTH, tool_tip=tool_tip),
        *widgets,
    )
    return u.create_row(*named, u.create_stretch(), spacing=6)
