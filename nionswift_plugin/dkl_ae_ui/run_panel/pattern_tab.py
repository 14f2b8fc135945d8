"""The tab "Pattern": what a pattern is measured against, and readings of the user's own."""

from __future__ import annotations

from nion.ui import Declarative

from nionswift_plugin.dkl_ae_kit.rows import LABEL_WIDTH, button, choice_row, column, combo_box
from nionswift_plugin.dkl_ae_ui.run_panel.rows import number_row, range_row, text_row


def pattern_tab(u: Declarative.DeclarativeUI) -> Declarative.UIDescriptionResult:
    return column(
        u,
        choice_row(
            u,
            "reference",
            "Reference",
            "Where the beam is taken for undeflected. Darkest places are vacuum where there is any; the mean over the "
            "survey suits a specimen that fills it; a file costs no dose.",
        ),
        number_row(
            u,
            "reference_frames",
            button(
                u,
                "save_reference",
                "Save reference...",
                "Keep the last run's reference, for a later run to take from the file.",
                enabled="can_save_reference",
            ),
            label_width=LABEL_WIDTH,
        ),
        text_row(
            u,
            "reference_region",
            "Region",
            "Top, left, height and width as fractions of the survey, such as 0.8, 0, 0.2, 0.3.",
            button(u, "take_drawn", "Take drawn", "Take the rectangle that is selected on a survey."),
        ),
        text_row(
            u,
            "reference_file",
            "Reference file",
            "A saved reference (.npz) or a pattern of vacuum (.npy).",
            button(u, "browse_reference", "Browse..."),
        ),
        choice_row(
            u,
            "descan",
            "Descan",
            "How the beam's rest on the camera wanders over the survey. It is measured at the darkest place in each of "
            "nine parts of the survey.",
        ),
        number_row(
            u,
            "detector_rotation_deg",
            combo_box(
                u,
                "detector_mirrored",
                "Whether the detector's x axis is reversed, before it is turned. A transposed detector is mirrored and "
                "turned by -90 degrees.",
                enabled="idle",
                width=120,
            ),
            label_width=LABEL_WIDTH,
        ),
        range_row(u, ("mask_inner", "mask_radius"), "CoM mask", "disc radii"),
        text_row(
            u,
            "expression",
            "Expression",
            "Gives the reading Composite of other readings and of virtual detectors, such as com_magnitude / abf, "
            "annulus(1.2, 2.5) / bf, segment(0, 1, -45, 45) - segment(0, 1, 135, 225), ellipse(21, 0, 10, 10), "
            'correlation("picked.npy"). Empty for none.',
            button(
                u,
                "add_drawn",
                "Add drawn",
                "Add the ellipse or rectangle that is selected on a run's current or reference pattern, as a virtual "
                "detector.",
            ),
        ),
        text_row(
            u,
            "scalarizer_file",
            "Your scalarizers",
            "A Python file with functions marked @scalarizer(unit=...). It is run. Empty for none.",
            button(u, "browse_scalarizers", "Browse..."),
        ),
    )
