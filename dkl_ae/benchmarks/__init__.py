"""How fast the model is and how well it learns, beside AtomAI dklGPR. `dkl-ae benchmark` runs them."""

from dkl_ae.benchmarks.engine import engine_rows, engine_table
from dkl_ae.benchmarks.learning import learning_report

__all__ = ["engine_rows", "engine_table", "learning_report"]
