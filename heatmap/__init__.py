"""WHERE: tensors in, regions out. Knows no videos and no language model."""
