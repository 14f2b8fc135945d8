"""The deep-kernel Gaussian process. Loads torch, which takes seconds."""

from dkl_ae.model.deep_kernel.facade import GROWTH_BEFORE_TRAINING, DeepKernel, one_thread

__all__ = ["GROWTH_BEFORE_TRAINING", "DeepKernel", "one_thread"]
