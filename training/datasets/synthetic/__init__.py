"""Synthetic surveillance footage with exact truth. Begin with clip.py; what its parts exchange is in stage.py."""
