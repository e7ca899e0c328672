"""Curricula: a callback a file. A new one needs no change anywhere else, only its name in the settings."""
