"""Bragg discs and the lattice that they belong to."""
