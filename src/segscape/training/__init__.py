"""Recipe, data loading, loop, checkpoint and journal."""
