"""Segmentation without training: a paper or a family of papers per file."""
