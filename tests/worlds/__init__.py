"""Many worlds, one a seed: `python -m tests.worlds --seeds 200`."""
