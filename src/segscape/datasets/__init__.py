"""One file per layout, each a sequence of Sample."""
