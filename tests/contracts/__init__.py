"""Behaviour suites for ports: whatever implements one has to pass its suite."""
