"""Settings of Hypothesis for every run."""

from hypothesis import settings

# Time limits by example would fail on a busy machine; the reproduction line is worth its length.
settings.register_profile("abonent", deadline=None, print_blob=True)
settings.load_profile("abonent")
