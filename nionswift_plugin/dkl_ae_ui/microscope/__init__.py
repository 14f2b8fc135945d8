"""The microscope as the run sees it. The only folder that moves the probe or switches the beam."""
