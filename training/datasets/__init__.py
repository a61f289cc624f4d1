"""Data sets: truth of a clip (truth.py), records and dialogues made of it, and the synthetic footage."""
