"""Routing, judged in a made-up world whose truth is known: markets, drift, outages, late answers."""
