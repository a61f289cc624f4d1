"""Weak-supervision temporal heads: snippet features of a video -> an anomaly score a snippet, and class probabilities.

base.py says what a head is, mil.py pools over time, text.py gives class texts; then a paper a file. `HEADS` lists them.
"""
