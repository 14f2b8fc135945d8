"""The panel "Automated Experiment Review": saved sessions, step by step, without a microscope."""
