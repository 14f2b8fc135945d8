"""Autonomous 4D-STEM with deep-kernel learning: the library, free of any microscope and any window."""
