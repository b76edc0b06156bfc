"""Pretraining: a network learns to say hidden bases of DNA that has no labels."""
