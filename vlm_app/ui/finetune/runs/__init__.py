"""Runs on the tab Fine-tune: layout, listeners and what they show."""
