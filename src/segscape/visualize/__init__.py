"""Structures to pictures."""
