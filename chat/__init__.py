"""TALKING: Evidence and questions in, words out. Knows no tensors."""
