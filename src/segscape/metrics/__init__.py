"""Accumulators with update, merge and compute; integer state."""
