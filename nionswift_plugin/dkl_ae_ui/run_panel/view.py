"""What the panel looks like. Its widgets bind to the attributes of `handler.Handler` by name."""

from __future__ import annotations

from collections.abc import Mapping

from nion.ui import Declarative

from dkl_ae.settings import GROUPS
from nionswift_plugin.dkl_ae_kit.rows import LINE_HEIGHT, WIDTH, button, column, state_row
from nionswift_plugin.dkl_ae_ui.run_panel.rows import BUTTON_WIDTH, settings_rows


def build_view() -> Declarative.UIDescriptionResult:
    """The description from which Swift makes the widgets."""
    u = Declarative.DeclarativeUI()
    message = u.create_label(
        name="message_label",
        text="@binding(message.value)",
        word_wrap=True,
        width=WIDTH,
        # What happened, and what to do.
        height=4 * LINE_HEIGHT,
        # The longest sentences are cut off there, and read here.
        tool_tip="@binding(message.value)",
    )
    # What changes during a run comes first: a low window cuts off the settings, not the message.
    return u.create_column(
        _buttons(u),
        message,
        _state(u),
        _settings(u),
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
            "Hold after the exposure under way with the beam blanked, or go on.",
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
            "Time per point",
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
        state_row(
            u,
            "No number",
            "without_number",
            "Points whose pattern gave no number of what is optimized, and why. The model learns where that is to be "
            "expected, and keeps away from it: see the map Probability of a reading.",
            lines=2,
        ),
        u.create_label(
            text="@binding(model_text.value)",
            word_wrap=True,
            width=WIDTH,
            height=3 * LINE_HEIGHT,
            tool_tip="Which part of the model explains the readings: the local structure, a trend with brightness, "
            "what differs between a patch and its turned or mirrored images, what changes slowly over the survey "
            "whatever the patches show, and what none of them tells; how much of what it looks at comes from the "
            "network; and by what factor its intervals were widened after the seeds were checked.",
        ),
        spacing=2,
    )


def _settings(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    """In tabs, so that the panel fits a small screen."""
    last_run = state_row(u, "Last run", "session", "The latest run of this project, where it has points left.", lines=2)
    beside = _buttons_beside(u)
    tabs = (
        ("Run", settings_rows(u, ("objective", "exposure", "search"), beside)),
        ("Devices", [*settings_rows(u, ("devices", "model"), beside), last_run]),
        ("Reference && detector", settings_rows(u, ("reference", "detector"), beside)),
        ("Advanced", settings_rows(u, tuple(GROUPS), beside, advanced=True)),
    )
    return u.create_tabs(
        *(u.create_tab(title, column(u, *rows)) for title, rows in tabs),
        name="settings_tabs",
        current_index="@binding(tab_index.value)",
    )


def _buttons_beside(
    u: Declarative.DeclarativeUI,
) -> Mapping[str, tuple[Declarative.UIDescriptionResult, ...]]:
    """Buttons behind a setting's own widgets, by its key."""
    change = button(
        u,
        "switch",
        "Change objective",
        "Optimize the chosen scalarizer and goal from the next point on; after a run, see what the model makes of its "
        "readings by them.",
        enabled="can_switch",
    )
    save_reference = button(
        u,
        "save_reference",
        "Save reference...",
        "Keep the last run's reference, for a later run to take from the file.",
        enabled="can_save_reference",
    )
    save_model = button(
        u,
        "save_model",
        "Save model...",
        "Keep what the last run's model has learned, to start another run from.",
        enabled="can_save_model",
    )
    use_region = button(
        u, "take_drawn", "Use selected", "Take the rectangle that is selected on a survey.", width=BUTTON_WIDTH
    )
    add_shape = button(
        u,
        "add_drawn",
        "Add selected",
        "Add the ellipse or rectangle that is selected on a run's current or reference pattern, as a virtual detector.",
        width=BUTTON_WIDTH,
    )
    return {
        "goal_value": (change,),
        "reference_frames": (save_reference,),
        "reference_region": (use_region,),
        "expression": (add_shape,),
        "random_seed": (save_model,),
    }
