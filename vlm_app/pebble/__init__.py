"""Pebble, the built-in model: a toy world that the project draws itself, and what learns it.

The package imports nothing else of the app, so that the recipe runs on any machine that
has torch, transformers, numpy, Pillow and matplotlib.
"""
