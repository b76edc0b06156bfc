"""Each number of in-silico mutagenesis is a difference of two plain predictions."""

import numpy as np
import pytest
import torch
from explained import make_model, random_tokens

from genomix.errors import UsageError
from genomix.explain.mutagenesis import count_evaluations, mutagenesis
from genomix.explain.score import make_score


def score_of(model, score, tokens):
    with torch.no_grad():
        return float(score.of(model.classifier(torch.from_numpy(tokens)[None], torch.tensor([len(tokens)]))))


@pytest.mark.parametrize("preset", ["paramixer", "cdil-cnn", "kmer", "paramixer-paper"])
@pytest.mark.parametrize("batch_bases", [1, 500, 100_000])
def test_each_change_is_that_of_the_score(preset, batch_bases):
    model = make_model(preset)
    score = make_score(model, "b")
    tokens = random_tokens(40)
    tokens[12] = 4
    start, end = 9, 25
    found = mutagenesis(model, tokens, score, start, end, device="cpu", batch_bases=batch_bases)
    own = score_of(model, score, tokens)
    for place in range(40):
        changes = [found.columns[f"delta_{base}"][place] for base in "ACGT"]
        if not start <= place < end or tokens[place] == 4:
            assert np.isnan(changes).all()
            assert np.isnan([track[place] for track in found.tracks.values()]).all()
            continue
        expected = []
        for base in range(4):
            mutant = tokens.copy()
            mutant[place] = base
            expected.append(score_of(model, score, mutant) - own)
        np.testing.assert_allclose(changes, expected, rtol=1e-6, atol=1e-9)
        assert found.attribution[place] == pytest.approx(-sum(expected) / 3, rel=1e-6, abs=1e-9)
        assert found.tracks["effect"][place] == pytest.approx(max(expected, key=abs), rel=1e-6, abs=1e-9)
    assert found.facts["evaluations"] == count_evaluations(tokens, start, end)


def test_evaluations_are_counted():
    tokens = np.array([0, 4, 1, 2, 3, 4], np.uint8)
    assert [count_evaluations(tokens, *place) for place in ((0, 6), (0, 2), (5, 6))] == [13, 4, 1]


class TestScore:
    def test_two_classes_are_log_odds(self):
        model = make_model(classes=("x", "y"))
        tokens = random_tokens(30)
        with torch.no_grad():
            logits = model.classifier(torch.from_numpy(tokens)[None], torch.tensor([30]))[0]
        probability = torch.softmax(logits, 0)[1]
        assert score_of(model, make_score(model, "y"), tokens) == pytest.approx(
            float(torch.logit(probability)), rel=1e-6
        )

    def test_adding_to_all_logits_changes_nothing(self):
        model = make_model()
        for score in (make_score(model, "a"), make_score(model, "a", "c")):
            assert score.weights.sum() == pytest.approx(0)
            assert score.weights[0] == 1
        assert make_score(model, "a", "c").weights.tolist() == [1, 0, -1]

    def test_several_labels(self):
        model = make_model(**{"data.labels": "multi"})
        assert make_score(model, "b").weights.tolist() == [0, 1, 0]
        with pytest.raises(UsageError, match="may have both"):
            make_score(model, "b", "a")

    def test_unknown_names(self):
        model = make_model(classes=("phage", "plasmid"))
        with pytest.raises(UsageError, match="did you mean 'plasmid'"):
            make_score(model, "plasmd")
        with pytest.raises(UsageError, match=r"--against .* no such class"):
            make_score(model, "phage", "x")
        with pytest.raises(UsageError, match="name another"):
            make_score(model, "phage", "phage")
