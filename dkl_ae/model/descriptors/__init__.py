"""From patches to the coordinates on which a kernel acts."""

from dkl_ae.model.descriptors.network import LEARNED_FEATURES
from dkl_ae.model.descriptors.pca import COMPONENTS, pca_coordinates

__all__ = ["COMPONENTS", "LEARNED_FEATURES", "pca_coordinates"]
