"""Networks: one paper, one file."""
