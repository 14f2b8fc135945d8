"""What the review panel looks like. Its widgets bind to the attributes of `panel.Handler` by name."""

from __future__ import annotations

from nion.ui import Declarative

from nionswift_plugin.dkl_ae_kit.rows import LINE_HEIGHT, WIDTH, button, choice_row, state_row

_NUMBER_WIDTH = 64
_ARROW_WIDTH = 32


def build_view() -> Declarative.UIDescriptionResult:
    """The description from which Swift makes the widgets."""
    u = Declarative.DeclarativeUI()
    return u.create_column(
        _buttons(u),
        # A long sentence is cut off in two lines, and read in full here.
        _text(u, "message", 2, "@binding(message_text.value)"),
        _text(u, "title", 1, "Of the run whose session is open."),
        _text(u, "about", 2, "What the run sought, how many points it measured, and how it ended."),
        _slider(u),
        choice_row(
            u,
            "scalarizer",
            "Maps",
            "The maps as recorded or, of another scalarizer, as they would have been after this point if the run "
            "had optimized it: a model learns from what it read of the same patterns.",
            enabled="is_open",
        ),
        _text(u, "maps", 2, "Whose maps are shown, and of when."),
        _text(
            u,
            "model",
            3,
            "Which part of the model explained the readings, and by what factor its error bars were widened.",
        ),
        *_step(u),
        u.create_stretch(),
        spacing=4,
        margin=4,
    )


def _buttons(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return u.create_row(
        u.create_push_button(
            name="open_button",
            text="Open session...",
            on_clicked="open_clicked",
            tool_tip="Review the session file of a run; it is not changed.",
        ),
        u.create_push_button(
            name="open_selected_button",
            text="Open selected run",
            on_clicked="open_selected_clicked",
            tool_tip="Review the session of the run that the selected data item belongs to.",
        ),
        button(
            u, "report", "Report...", "Write a page with figures of the whole run into a folder.", enabled="is_open"
        ),
        u.create_stretch(),
        spacing=8,
    )


def _slider(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    tool_tip = "The point, seeds included; the run as it was after it."

    def arrow(name: str, text: str, tool_tip: str) -> Declarative.UIDescriptionResult:
        return u.create_push_button(
            name=f"{name}_button",
            text=text,
            on_clicked=f"{name}_clicked",
            enabled="@binding(is_open.value)",
            tool_tip=tool_tip,
            width=_ARROW_WIDTH,
        )

    return u.create_row(
        arrow("back", "<", "One point back."),
        u.create_slider(
            name="step_slider",
            value="@binding(step.value)",
            minimum=1,
            maximum=1,
            enabled="@binding(is_open.value)",
            width=WIDTH - 2 * _ARROW_WIDTH - _NUMBER_WIDTH - 24,
            tool_tip=tool_tip,
        ),
        arrow("forward", ">", "One point on."),
        u.create_label(text="@binding(step_text.value)", width=_NUMBER_WIDTH, tool_tip=tool_tip),
        u.create_stretch(),
        spacing=8,
    )


def _step(u: Declarative.DeclarativeUI) -> list[Declarative.UIDescriptionResult]:
    return [
        state_row(
            u,
            "Chosen by",
            "chosen",
            "Who chose the place, and what the acquisition function weighed: not knowing, or expecting much.",
        ),
        state_row(u, "Expected", "expected", "What the model expected to read there, and its standard deviation."),
        state_row(
            u,
            "Read",
            "read",
            "What was read, its counting error, and how many standard deviations, of both together, that is off.",
            lines=2,
        ),
        state_row(
            u,
            "Intervals",
            "intervals",
            "How often readings were so close to what was expected: 68 % within one standard deviation and 95 % within "
            "two, if the model is right.",
        ),
        state_row(u, "Dose so far", "dose", "Everything exposed up to this point, survey and reference included."),
        state_row(
            u,
            "Time",
            "time",
            "Of this point. Measuring: move, expose, read out, scalarize. Model: retrain, predict, choose.",
        ),
        state_row(u, "Pattern", "pattern", "Click a visited point of the path to see its pattern."),
    ]


def _text(u: Declarative.DeclarativeUI, name: str, lines: int, tool_tip: str) -> Declarative.UIDescriptionResult:
    # Of fixed size: the panel must not grow and push the displays about while texts change.
    return u.create_label(
        text=f"@binding({name}_text.value)", word_wrap=True, width=WIDTH, height=lines * LINE_HEIGHT, tool_tip=tool_tip
    )
