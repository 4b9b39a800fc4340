"""Augmentation: batched, on the device of the batch, with randomness only from a passed generator."""
