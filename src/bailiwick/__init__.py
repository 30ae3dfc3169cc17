"""Bailiwick: aggregate payments over independent regional transaction nodes."""

__version__ = "0.1.0"
