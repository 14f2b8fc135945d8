"""The panel "Automated Experiment Review"."""
