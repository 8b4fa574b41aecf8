"""Figures of speed and of accuracy, measured side by side."""

import orchestration  # noqa: F401 - says how many threads linear algebra may use, before NumPy is loaded
