"""Records are scored as if each were scored by hand, alone: whatever the batches, in order, without reading ahead."""

import itertools

import numpy as np
import pytest
import torch
from scored import MAX_LENGTH, Named, make_model, random_records

from genomix.checkpoint import save_model
from genomix.data.store import build_store
from genomix.data.vocabulary import reverse_complement
from genomix.data.windows import central, cover
from genomix.errors import UsageError
from genomix.scoring import BATCHES_AHEAD, Scorer, StoredRecord, load_scorer, make_scorer, stack_probabilities

OPTIONS = [
    {"long": "window", "strands": "both"},
    {"long": "window", "strands": "forward"},
    {"long": "window", "strands": "both", "stride": 10},
    {"long": "window", "strands": "forward", "stride": MAX_LENGTH},
    {"long": "crop", "strands": "both"},
    {"long": "whole", "strands": "both"},
    {"long": "whole", "strands": "forward"},
]
EVERY_OPTION = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))


@pytest.fixture(scope="module")
def model():
    return make_model()


def score_by_hand(model, record, long, strands, stride=None):
    """One window at a time; each base counts the same, whichever windows it is in; strands count the same."""
    if long == "whole":
        windows = [(0, len(record))]
    else:
        windows = cover(len(record), MAX_LENGTH, stride) if long == "window" else [central(len(record), MAX_LENGTH)]
    reads = [sum(start <= base < end for start, end in windows) for base in range(len(record))]
    shares = np.array([sum(1 / reads[base] for base in range(start, end)) for start, end in windows])
    total = np.zeros(3)
    readings = [record, reverse_complement(record)] if strands == "both" else [record]
    for reading in readings:
        for (start, end), share in zip(windows, shares / shares.sum(), strict=True):
            piece = torch.from_numpy(reading[start:end].copy()).unsqueeze(0)
            with torch.inference_mode():
                logits = model.classifier(piece, torch.tensor([end - start]))[0].double()
            total += share * logits.log_softmax(0).numpy() / len(readings)
    return np.exp(total) / np.exp(total).sum()


def expected_scores(model, records, **options):
    """By hand; the mean over strands is what the documentation says."""
    return np.stack([score_by_hand(model, record, **options) for record in records])


@EVERY_OPTION
@pytest.mark.parametrize("batch_bases", [1, 64, 1 << 17])
def test_scores_are_those_found_by_hand(model, options, batch_bases):
    records = random_records()
    found = np.stack(list(Scorer(model, batch_bases=batch_bases, **options).score(records)))
    np.testing.assert_allclose(found, expected_scores(model, records, **options), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1)


def test_scores_differ_enough_for_their_order_to_show(model):
    scores = np.stack(list(Scorer(model).score(random_records())))
    gaps = np.abs(scores[:, None] - scores[None]).max(2)[~np.eye(len(scores), dtype=bool)]
    assert gaps.min() > 1e-5


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("paramixer-cdil", {"long": "window", "strands": "both"}),
        ("kmer", {"long": "whole", "strands": "both"}),
        ("kmer", {"long": "whole", "strands": "forward"}),
    ],
)
def test_other_presets_too(preset, options):
    model = make_model(preset)
    records = random_records()
    found = np.stack(list(Scorer(model, batch_bases=100, **options).score(records)))
    np.testing.assert_allclose(found, expected_scores(model, records, **options), atol=1e-6)


@pytest.mark.parametrize("long", ["window", "crop"])
def test_network_bound_to_its_length(long):
    model = make_model(**{"model.pooling": "flatten", "model.embedding.position": "learned", "model.padding": "token"})
    records = random_records()
    found = np.stack(list(Scorer(model, long=long, batch_bases=100).score(records)))
    np.testing.assert_allclose(found, expected_scores(model, records, long=long, strands="both"), atol=1e-6)


@pytest.mark.parametrize("options", [options for options in OPTIONS if options["strands"] == "both"], ids=str)
def test_both_strands_of_a_record_get_the_same(model, options):
    scorer = Scorer(model, **options)
    records = random_records()
    forward = np.stack(list(scorer.score(records)))
    reverse = np.stack(list(scorer.score([reverse_complement(record) for record in records])))
    np.testing.assert_allclose(forward, reverse, atol=1e-6)


def test_one_strand_alone_does_not(model):
    record = random_records([30])[0]
    forward, reverse = Scorer(model, strands="forward").score([record, reverse_complement(record)])
    assert np.abs(forward - reverse).max() > 1e-4


def test_confident_network_does_not_underflow(model):
    sure = make_model()
    with torch.no_grad():
        sure.classifier.head[-1].bias.copy_(torch.tensor([5000.0, 0.0, -5000.0]))
    for probabilities in Scorer(sure).score(random_records()):
        np.testing.assert_allclose(probabilities, [1, 0, 0])


def test_nothing_in_gives_nothing_out(model):
    assert list(Scorer(model).score([])) == []
    assert list(Scorer(model).predict([])) == []


def test_scorer_can_be_used_again_even_after_it_was_left_halfway(model):
    records = random_records()
    scorer = Scorer(model, batch_bases=64)
    expected = np.stack(list(scorer.score(records)))
    next(scorer.score(records))
    np.testing.assert_allclose(np.stack(list(scorer.score(records))), expected, atol=1e-6)


class Watched(torch.nn.Module):
    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier
        self.shapes = []

    def forward(self, tokens, lengths):
        self.shapes.append((tuple(tokens.shape), lengths.sum().item()))
        return self.classifier(tokens, lengths)


@pytest.mark.parametrize("batch_bases", [40, 200, 10_000])
def test_batches_hold_no_more_than_asked_for(batch_bases):
    model = make_model()
    model.classifier = Watched(model.classifier)
    list(Scorer(model, batch_bases=batch_bases).score(random_records([1, 32, 300, 10, 10, 10, 500, 32] * 5)))
    for (batch, num_positions), _ in model.classifier.shapes:
        assert batch == 1 or batch * num_positions <= batch_bases
    assert sum(bases for _, bases in model.classifier.shapes) >= 2 * 5 * 895


def test_like_lengths_are_computed_together():
    model = make_model()
    model.classifier = Watched(model.classifier)
    list(Scorer(model, batch_bases=128, strands="forward").score(random_records([2, 32] * 200)))
    filled = sum(bases for _, bases in model.classifier.shapes)
    computed = sum(batch * num_positions for (batch, num_positions), _ in model.classifier.shapes)
    assert computed < 1.2 * filled


@pytest.mark.parametrize("strands", ["forward", "both"])
def test_records_are_read_no_farther_ahead_than_some_batches(model, strands):
    length, batch_bases = 16, 64
    read = 0

    def records():
        nonlocal read
        for record in itertools.repeat(random_records([length])[0]):
            read += 1
            yield record

    bound = BATCHES_AHEAD * batch_bases / length + 1
    scorer = Scorer(model, strands=strands, batch_bases=batch_bases)
    for given, _ in enumerate(itertools.islice(scorer.score(records()), 200)):
        assert read - given <= bound


def test_windows_of_a_long_record_do_not_pile_up():
    model = make_model()
    model.classifier = Watched(model.classifier)
    scorer = Scorer(model, batch_bases=64)
    most = 0

    def records():
        yield from random_records([20_000, 20])

    compute = scorer._compute

    def watch():
        nonlocal most
        most = max(most, len(scorer._queue))
        compute()

    scorer._compute = watch
    assert len(list(scorer.score(records()))) == 2
    assert most <= BATCHES_AHEAD * 64 / MAX_LENGTH + 2


def test_whole_is_refused_by_networks_bound_to_their_length():
    for overrides in (
        {"model.pooling": "flatten"},
        {"model.embedding.position": "learned"},
        {"model.padding": "token"},
    ):
        bound = make_model(**overrides)
        with pytest.raises(UsageError, match="--long whole") as caught:
            Scorer(bound, long="whole")
        assert caught.value.exit_code == 2
        assert Scorer(bound, long="window").long == "window"


def test_stride_that_leaves_gaps_is_refused(model):
    with pytest.raises(UsageError, match="leaves gaps") as caught:
        Scorer(model, stride=MAX_LENGTH + 1)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("stride", [0, -1])
def test_stride_that_goes_nowhere_is_refused(model, stride):
    with pytest.raises((UsageError, ValueError)):
        list(make_scorer(model, stride=stride).score(random_records([100])))


BAD = np.empty(0, dtype=np.uint8)


def test_rows_come_in_order_with_the_skipped_ones_in_their_places(model):
    good = [Named(f"good{i}", record) for i, record in enumerate(random_records())]
    records = [Named("bad0", BAD, "empty"), Named("bad1", BAD, "empty")]
    for record in good:
        records += [record, Named(f"after {record.id}", BAD, "'J' is not a nucleotide code")]
    rows = list(Scorer(model, batch_bases=64).predict(records))
    assert [row.id for row in rows] == [record.id for record in records]
    assert [row.length for row in rows] == [len(record.tokens) for record in records]
    for row, record in zip(rows, records, strict=True):
        assert (row.probabilities is None) == (record.problem is not None)
        assert (row.statuses == ("skipped",)) == (record.problem is not None)
        if record.problem:
            assert row.note == record.problem
    expected = expected_scores(model, [record.tokens for record in good], long="window", strands="both")
    scored = [row for row in rows if row.probabilities is not None]
    np.testing.assert_allclose(stack_probabilities(scored), expected, atol=1e-6)


def only_row(scorer, tokens):
    [row] = scorer.predict([Named("r", np.asarray(tokens, dtype=np.uint8))])
    return row


def test_plain_record_is_ok(model):
    row = only_row(Scorer(model), [0, 1, 2, 3] * 8)
    assert (row.statuses, row.note) == (("ok",), "")


@pytest.mark.parametrize(("long", "length", "cut"), [("crop", 33, True), ("crop", 32, False), ("window", 33, False)])
def test_cut_is_what_was_not_read(model, long, length, cut):
    scorer = Scorer(model, long=long)
    row = only_row(scorer, [0] * length)
    assert scorer.is_cut(length) == cut
    assert row.statuses == (("cut",) if cut else ("ok",))
    assert row.note == (f"only the middle {MAX_LENGTH} of {length} bp were read" if cut else "")


def test_cropped_record_is_its_middle(model):
    record = random_records([100])[0]
    scorer = Scorer(model, long="crop", strands="forward")
    start = (100 - MAX_LENGTH) // 2
    whole, middle = scorer.score([record, record[start : start + MAX_LENGTH]])
    np.testing.assert_allclose(whole, middle, atol=1e-6)


@pytest.mark.parametrize(("unknown", "status"), [(0, "ok"), (6, "ok"), (7, "n_rich"), (30, "n_rich")])
def test_n_rich_is_more_than_a_fifth(model, unknown, status):
    assert only_row(Scorer(model), [4] * unknown + [0] * (30 - unknown)).statuses == (status,)


@pytest.mark.parametrize(("length", "status"), [(9, "too_short"), (10, "ok")])
def test_too_short_is_less_than_half_of_the_shortest_trained_on(model, length, status):
    row = only_row(Scorer(model), [0] * length)
    assert row.statuses == (status,)
    assert (row.note == "") == (status == "ok")


def test_statuses_come_together(model):
    assert only_row(Scorer(model), [4] * 5).statuses == ("n_rich", "too_short")
    assert only_row(Scorer(model, long="crop"), [4] * 50).statuses == ("cut", "n_rich")


def test_kmer_counts_read_everything():
    scorer = make_scorer(make_model("kmer"), long="crop")
    assert not scorer.is_cut(10**6)
    assert only_row(scorer, [0, 1, 2, 3] * 100).statuses == ("ok",)


def counted(records):
    counted.read = 0
    for record in records:
        counted.read += 1
        yield record


def test_predictions_are_made_while_records_are_read(model):
    records = (Named(str(i), np.zeros(16, dtype=np.uint8)) for i in itertools.count())
    bound = BATCHES_AHEAD * 64 / 16 + 1
    for given, row in enumerate(itertools.islice(Scorer(model, batch_bases=64).predict(counted(records)), 200)):
        assert row.id == str(given)
        assert counted.read - given <= bound


def test_skipped_records_do_not_pile_up(model):
    records = [Named(str(i), BAD, "empty") for i in range(5000)]
    first = next(Scorer(model, batch_bases=64).predict(counted(records)))
    assert first.id == "0"
    assert counted.read < 1000


def test_scorer_follows_the_configuration_of_its_model_where_nothing_else_is_said(tmp_path):
    own = {
        "prediction.long": "crop",
        "prediction.strands": "forward",
        "prediction.stride": 8,
        "prediction.batch_bases": 99,
    }
    save_model(make_model(path=tmp_path, **own))
    scorer = load_scorer(tmp_path)
    assert (scorer.long, scorer.strands, scorer.stride, scorer.batch_bases) == ("crop", "forward", 8, 99)
    scorer = load_scorer(tmp_path, long="window", strands="both", stride=4, batch_bases=50)
    assert (scorer.long, scorer.strands, scorer.stride, scorer.batch_bases) == ("window", "both", 4, 50)


def test_records_of_a_store_are_scored_like_their_tokens(model, tmp_path):
    (tmp_path / "data.fa").write_text(">one first\nACGTNACGTTTGACA\n>two\nGGGACATTGACAATG\n")
    store = build_store([str(tmp_path / "data.fa")], cache_dir=tmp_path / "cache")
    rows = list(Scorer(model).predict(StoredRecord(store, row) for row in (1, 0)))
    assert [row.id for row in rows] == ["two", "one"]
    expected = np.stack(list(Scorer(model).score([store.tokens(1), store.tokens(0)])))
    np.testing.assert_allclose(stack_probabilities(rows), expected)
