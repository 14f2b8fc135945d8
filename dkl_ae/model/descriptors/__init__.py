"""From patches to the coordinates on which a kernel acts."""

from dkl_ae.model.descriptors.network import LEARNED_FEATURES
from dkl_ae.model.descriptors.pca import COMPONENTS, structured_base

__all__ = ["COMPONENTS", "LEARNED_FEATURES", "structured_base"]
