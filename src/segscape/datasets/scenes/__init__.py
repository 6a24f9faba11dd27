"""Scenes drawn by code: textured stuff, things that hide each other, and the parts of things."""
