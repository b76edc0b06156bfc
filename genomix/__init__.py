"""genomix: train, evaluate and use classifiers of long DNA sequences."""

__version__ = "0.1.0"
