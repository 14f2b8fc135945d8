"""The deep-kernel Gaussian process. Loads torch, which takes seconds."""

from dkl_ae.model.deep_kernel.compute import choose_device, single_threaded_torch
from dkl_ae.model.deep_kernel.facade import DeepKernel
from dkl_ae.model.deep_kernel.training import GROWTH_BEFORE_TRAINING

__all__ = ["GROWTH_BEFORE_TRAINING", "DeepKernel", "choose_device", "single_threaded_torch"]
