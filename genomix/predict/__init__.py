"""Prediction: sequences in, one row a record out, in input order and bounded memory.

The records are scored in chunks, each by itself, so that a shard or a resumed prediction has the very rows of a whole
one. A table of several chunks is made of parts, which are kept beside it until all are there.
"""

from genomix.predict.job import Summary
from genomix.predict.prediction import predict

__all__ = ["Summary", "predict"]
