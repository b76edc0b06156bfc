"""A planted motif is found by each method, in a network that has just learnt it."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))
from explain_planted import METHODS, areas, plant, train, untrained

from genomix.data.simulate import draw_motifs
from genomix.explain import Explainer

LENGTH, MOTIF_BP = 128, 12


@pytest.fixture(scope="module")
def learnt():
    motif = draw_motifs(MOTIF_BP, np.random.default_rng(1))[0]
    model = untrained("paramixer", LENGTH)
    accuracy = train(model, LENGTH, motif, steps=200, seed=0)
    assert accuracy > 0.9
    return model, plant(30, LENGTH, motif, np.random.default_rng(2))


LEAST = [0.95, 0.95, 0.95, 0.85, 0.85]
SEEN = [number for number, ways in enumerate(METHODS) if ways.get("baseline") != "unknown"]
"""Without the baseline of unknown bases: this network has never seen one, and what it says of them is chance."""


@pytest.mark.parametrize(
    ("number", "least"), [(number, LEAST[number]) for number in SEEN], ids=[str(METHODS[number]) for number in SEEN]
)
def test_area_under_the_curve(learnt, number, least):
    model, planted = learnt
    found = areas(Explainer(model, label="with", **METHODS[number]), planted, MOTIF_BP)
    assert found["attribution"].mean() > least


def test_by_chance_without_the_motif(learnt):
    """The same measure at places where nothing was planted is at chance: it does not find what is not there."""
    model, planted = learnt
    elsewhere = planted._replace(places=(planted.places + LENGTH // 2) % (LENGTH - MOTIF_BP))
    found = areas(Explainer(model, "gradient", label="with", baseline="uniform"), elsewhere, MOTIF_BP)
    assert found["attribution"].mean() < 0.65
