"""Recorded 4D-STEM data: files that are read a pattern at a time, their reference, their survey, their maps."""
