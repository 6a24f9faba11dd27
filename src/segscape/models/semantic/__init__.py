"""Semantic networks: one paper, one file; files never import each other."""
