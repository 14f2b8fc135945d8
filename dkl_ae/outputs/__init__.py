"""Files and folders that a person asks for: never in the place of something else, and whole or not at all."""

from dkl_ae.outputs.figures import require_picture, save_figure
from dkl_ae.outputs.finishing import finished_file, finished_folder, synchronise
from dkl_ae.outputs.hdf5 import new_hdf5
from dkl_ae.outputs.places import free_place, require_place, unfinished_beside

__all__ = [
    "finished_file",
    "finished_folder",
    "free_place",
    "new_hdf5",
    "require_picture",
    "require_place",
    "save_figure",
    "synchronise",
    "unfinished_beside",
]
