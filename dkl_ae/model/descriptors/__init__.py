"""From patches to the coordinates on which a kernel acts."""

from dkl_ae.model.descriptors.pca import pca_coordinates

__all__ = ["pca_coordinates"]
