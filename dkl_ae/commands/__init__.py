"""The commands of dkl-ae, one module each: `add` describes its options, `run` carries it out."""
