"""Captions of many videos: words for each, and the files they are written to."""
