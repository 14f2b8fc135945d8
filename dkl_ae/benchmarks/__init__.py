"""How fast the model is and how well it learns, beside the published way. `dkl-ae benchmark` runs them."""
