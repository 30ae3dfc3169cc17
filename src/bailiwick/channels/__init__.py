"""The channel docking layer: how each provider speaks, and the transport that carries it."""
