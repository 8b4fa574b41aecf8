"""Figures of speed, measured side by side."""
