"""Routing, judged in a made-up world of which the truth is known."""
