"""A simulated 4D-STEM microscope, without Swift.

presets, structure_file -> Specimen        atoms, and the truth about them
patterns, images        <- Specimen, Optics, CameraGeometry
column                  a specimen that drifts and suffers, or a recording, behind one interface
"""

from dkl_ae.simulation.column import Column, ReplayColumn, VirtualColumn
from dkl_ae.simulation.detector import Camera, CameraGeometry
from dkl_ae.simulation.images import ImageSimulator
from dkl_ae.simulation.optics import DETECTORS, Optics
from dkl_ae.simulation.patterns import PatternSimulator
from dkl_ae.simulation.presets import PRESETS, graphene_with_silicon, preset, twisted_bilayer_graphene
from dkl_ae.simulation.specimen import Specimen
from dkl_ae.simulation.structure_file import read_structure

__all__ = [
    "DETECTORS",
    "PRESETS",
    "Camera",
    "CameraGeometry",
    "Column",
    "ImageSimulator",
    "Optics",
    "PatternSimulator",
    "ReplayColumn",
    "Specimen",
    "VirtualColumn",
    "graphene_with_silicon",
    "preset",
    "read_structure",
    "twisted_bilayer_graphene",
]
