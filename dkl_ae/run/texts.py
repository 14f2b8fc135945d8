"""What a run says, in the user's words."""

from __future__ import annotations

from dkl_ae.model import ModelSummary


def model_text(summary: ModelSummary | None) -> str:
    """What the model says of itself; empty before it has learned."""
    if summary is None:
        return ""
    scale = f"Error bars x {summary.interval_scale:.2f}"
    fractions = summary.fractions
    if fractions is None:
        return scale
    return (
        f"Variance: local structure {100 * fractions.local:.0f} %, brightness trend {100 * fractions.trend:.0f} %, "
        f"symmetry breaking {100 * fractions.symmetry_breaking:.0f} %, "
        f"residual noise {100 * fractions.residual_noise:.0f} %. "
        f"Network {100 * fractions.network:.0f} % of distances. {scale}"
    )
