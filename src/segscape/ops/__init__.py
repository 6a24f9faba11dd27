"""Verbs on tensors: pure functions, no state."""
