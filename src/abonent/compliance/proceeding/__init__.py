"""The proceeding as a pure state machine: it knows no clock and files nothing anywhere."""
