"""Images to feature maps, finest first."""
