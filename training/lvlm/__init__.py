"""Training of the region tokens and the adapters of a language model: data, loop, evaluation, ablations."""
