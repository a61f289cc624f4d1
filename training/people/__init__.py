"""People and vehicles in single frames: a small network on the encoder's features, taught by a detector.

Next: training/people/frames.py
"""
