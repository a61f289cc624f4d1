"""Numbers that need no torch. Next: tvad/temporal/movement.py"""

SNIPPET = 16  # frames
