"""Image and target changed by one call."""
