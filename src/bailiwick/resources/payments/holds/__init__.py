"""Holds: how they are captured, in one part or several, and what happens when they run out."""
