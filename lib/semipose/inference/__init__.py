"""Prediction and validation with trained networks."""
