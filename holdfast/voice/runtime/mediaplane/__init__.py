"""The media process, and control's client of it."""
