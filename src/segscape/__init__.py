"""Segscape: the whole of image segmentation behind one small set of nouns."""

__version__ = "0.1.0"
