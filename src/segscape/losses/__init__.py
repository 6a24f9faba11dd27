"""Functions of raw output and target that return a scalar."""
