"""A simulated 4D-STEM microscope, without Swift.

presets, structure_file -> Specimen        atoms, and the truth about them
patterns, images        <- Specimen, Optics, Geometry
column                  a specimen that drifts and suffers, or a recording, behind one interface
dry_run                 a column as the instrument of a run
"""
