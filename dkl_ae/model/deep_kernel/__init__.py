"""The deep-kernel Gaussian process. Loads torch, which takes seconds."""

from dkl_ae.model.deep_kernel.facade import GROWTH_BEFORE_TRAINING, DeepKernel, single_threaded_torch

__all__ = ["GROWTH_BEFORE_TRAINING", "DeepKernel", "single_threaded_torch"]
