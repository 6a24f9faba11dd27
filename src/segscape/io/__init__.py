"""Bytes to structures and back."""
