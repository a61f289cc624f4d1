"""LEARNING: data sets, losses, metrics, recipes. May import everything else; nothing imports it."""
