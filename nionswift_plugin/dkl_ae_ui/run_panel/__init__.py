"""The panel "Automated Experiment"."""
