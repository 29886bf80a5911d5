"""Possession checks, and the budgets of what they send."""
