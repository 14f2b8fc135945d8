"""What the panel looks like. Its widgets bind to the attributes of `panel.Handler` by name."""

from __future__ import annotations

from nion.ui import Declarative

from nionswift_plugin.dkl_ae_kit.rows import LINE_HEIGHT, WIDTH, button, choice_row, column, state_row
from nionswift_plugin.dkl_ae_ui.run_panel.pattern_tab import pattern_tab
from nionswift_plugin.dkl_ae_ui.run_panel.rows import number_row, text_row


def build_view() -> Declarative.UIDescriptionResult:
    """The description from which Swift makes the widgets."""
    u = Declarative.DeclarativeUI()
    message = u.create_label(
        name="message_label",
        text="@binding(message.value)",
        word_wrap=True,
        width=WIDTH,
        height=2 * LINE_HEIGHT,
        # A long sentence is cut off in two lines, and read here.
        tool_tip="@binding(message.value)",
    )
    # What changes during a run comes first: a low window cuts off the settings, not the message.
    return u.create_column(
        _buttons(u),
        message,
        _state(u),
        # In tabs, so that the panel fits a small screen.
        u.create_tabs(
            u.create_tab("Run", _run_tab(u)),
            u.create_tab("Devices", _devices_tab(u)),
            u.create_tab("Pattern", pattern_tab(u)),
            u.create_tab("More", _more_tab(u)),
            name="settings_tabs",
            current_index="@binding(tab_index.value)",
        ),
        u.create_stretch(),
        spacing=4,
        margin=4,
    )


def _buttons(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return u.create_row(
        button(u, "start", "Start", "Acquire the survey and begin to measure.", enabled="can_start"),
        button(
            u,
            "pause",
            "@binding(pause_label.value)",
            "Hold after the step under way with the beam blanked, or go on.",
            enabled="running",
        ),
        button(
            u,
            "stop",
            "Stop",
            "End the run at once, even during an exposure; all that was measured is kept.",
            enabled="running",
        ),
        button(
            u,
            "resume_run",
            "Resume last run",
            "Go on with the last run of this project that has points left, as if it had never stopped: after a crash, "
            "a power cut, or Stop.",
            enabled="can_resume_run",
        ),
        u.create_stretch(),
        spacing=8,
    )


def _state(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return u.create_column(
        u.create_progress_bar(value="@binding(progress.value)", name="progress_bar", width=WIDTH),
        state_row(u, "Progress", "step", "Points measured so far, seeds included, and the latest reading."),
        state_row(
            u,
            "Time per step",
            "time",
            "Measuring: move, expose, read out, scalarize. Model: retrain, predict, choose.",
        ),
        state_row(
            u,
            "Dose so far",
            "dose",
            "Beam current times exposure over everything exposed, survey and reference included.",
        ),
        state_row(
            u,
            "Best so far",
            "best",
            "The reading closest to what is sought and where it was found, from the survey's centre.",
            lines=2,
        ),
        u.create_label(
            text="@binding(model_text.value)",
            word_wrap=True,
            width=WIDTH,
            height=2 * LINE_HEIGHT,
            tool_tip="Which part of the model explains the readings: the local structure, a trend with brightness, "
            "what differs between a patch and its turned or mirrored images, and what the patch does not tell; how "
            "much of what it looks at comes from the network; and by what factor its intervals were widened after the "
            "seeds were checked.",
        ),
        spacing=2,
    )


def _run_tab(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    switch = button(
        u,
        "switch",
        "Switch",
        "Follow the chosen scalarizer and goal from the next step on; after a run, see what the model makes of its "
        "readings by them.",
        enabled="can_switch",
    )
    return column(
        u,
        choice_row(u, "scalarizer", "Scalarizer", "@binding(scalarizer_tip.value)", enabled=None),
        choice_row(
            u,
            "goal",
            "Seek",
            "What the run looks for; of an angle the largest is the direction +x, the smallest -x.",
            enabled=None,
        ),
        number_row(u, "goal_value", switch, enabled="can_seek_value"),
        number_row(u, "exposure_ms"),
        number_row(u, "patch_size"),
        number_row(u, "seed_points"),
        number_row(u, "steps"),
        choice_row(u, "acquisition", "Acquisition", "@binding(acquisition_tip.value)"),
        number_row(u, "acquisition_parameter"),
    )


def _devices_tab(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return column(
        u,
        choice_row(u, "instrument_id", "Microscope", "The instrument that is driven."),
        choice_row(
            u,
            "survey_source",
            "Survey",
            "Acquire a new frame with the scan's current settings, or use the selected data item when it is "
            "a frame of the scan as it is set now.",
        ),
        choice_row(u, "channel", "Scan channel", "The detector of the survey."),
        choice_row(u, "camera_id", "Camera", "The camera of the diffraction patterns."),
        choice_row(
            u,
            "device",
            "Computes on",
            "Where the model is trained; Automatic takes the GPU when there is one.",
        ),
    )


def _more_tab(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return column(
        u,
        choice_row(
            u,
            "embedding",
            "Model",
            "What the deep kernel looks at. With both, the readings decide how much the network has to say.",
        ),
        text_row(
            u,
            "pretrained",
            "Start from",
            "A saved model of the same scalarizer, patch size and pixel size: the run begins with what it knows, and "
            "needs no seed points. Empty to learn from nothing.",
            button(u, "browse", "Browse..."),
        ),
        number_row(u, "batch_size"),
        number_row(u, "travel_cost"),
        number_row(u, "least_spacing_nm"),
        number_row(u, "cross_arm_nm"),
        number_row(
            u,
            "random_seed",
            button(
                u,
                "save_model",
                "Save model...",
                "Keep what the last run's model has learned, to start another run from.",
                enabled="can_save_model",
            ),
        ),
        state_row(u, "Last run", "session", "The latest run of this project, where it has points left.", lines=2),
    )
