"""Numbers that need no torch. Next: tvad/temporal/base.py"""

SNIPPET = 16  # frames
