"""Settings shared by all tests."""

import os

# Two busy cores crawl when every small matrix product starts its own threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# Shared machines stall at random: a deadline would fail a test for its neighbours' work.
settings.register_profile("dkl-ae", deadline=None, max_examples=50)
settings.load_profile("dkl-ae")
