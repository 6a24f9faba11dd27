"""From an image of any size to a result."""
