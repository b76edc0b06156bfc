"""What a trained model gets beside its network: k-mers, calibration, and a sketch of what it has learnt from."""

from __future__ import annotations

import logging

from genomix import checkpoint
from genomix.checkpoint import Model
from genomix.config import NetworkConfig
from genomix.data.labels import LabelledRecords
from genomix.data.reference_fit import make_reference
from genomix.data.splits import Splits
from genomix.scoring import fit_calibration, fit_composition, make_scorer
from genomix.train.kmer import Found, describe

LOG = logging.getLogger("genomix")


def complete(model: Model, records: LabelledRecords, splits: Splits, found: Found | None, device: str) -> None:
    """Give a model what makes its probabilities honest, and what tells records unlike those it has learnt from.

    Args:
        model: Trained; it is written anew.
        records: All labelled records.
        splits: Their division; the test part is not looked at.
        found: The k-mer classifier that is to speak beside the network; None for the network alone.
        device: Where the network is.
    """
    train, val = records.indices[splits.train], records.indices[splits.val]
    if found is not None and isinstance(model.config.model, NetworkConfig):
        model.config.model.composition = found.config
        scorer, truth = make_scorer(model, device=device), records.truth[splits.val]
        model.composition = fit_composition(scorer, found.classifier, records.store, val.tolist(), truth)
        model.meta.num_parameters += sum(parameter.numel() for parameter in found.classifier.parameters())
        weights = model.composition.network, describe(found.config), model.composition.kmers
        LOG.info("composition: the network weighs %.3f, %s weigh %.3f", *weights)
    if model.config.training.calibrate:
        scorer = make_scorer(model, device=device)
        model.calibration = fit_calibration(scorer, records.store, val.tolist(), records.truth[splits.val])
        LOG.info("%s", model.calibration.describe())
    model.reference = make_reference(records.store, train, val, seed=model.config.training.seed)
    checkpoint.save_model(model)
