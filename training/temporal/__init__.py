"""Training of the temporal heads from labels of whole videos: batches, the loop, and scores for the evaluation."""
