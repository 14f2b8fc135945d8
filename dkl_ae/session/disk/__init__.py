"""HDF5 files that survive whatever stops their writer."""
