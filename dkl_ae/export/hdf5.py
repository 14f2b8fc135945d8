"""What the formats that are HDF5 have in common."""

from __future__ import annotations

import typing
from collections.abc import Callable

import h5py

from dkl_ae.export.content import Images


def add_images(group: typing.Any, name: str, images: Images, require_written: Callable[[], None]) -> h5py.Dataset:
    """Write a stack image by image: it may be larger than memory.

    require_written: as `new_hdf5` gives it.
    """
    dataset = group.create_dataset(
        name,
        images.shape,
        images.dtype,
        chunks=(1,) * (len(images.shape) - 2) + images.shape[-2:],
        compression="gzip",
        # The higher levels take several times as long for a few per cent.
        compression_opts=1,
        shuffle=True,
    )
    for place, image in images.each():
        dataset[place] = image
        require_written()
    return dataset
