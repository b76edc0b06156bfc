"""Ablations: variants that can be built, and differences paired by set and seed."""

import csv
from pathlib import Path

import pytest

from genomix.errors import NoInputError, UsageError
from genomix.nn.build import build_classifier

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")
VARIANTS = Path(__file__).parent.parent.parent / "benchmarks" / "ablations.yaml"


def row_of(model, value, name="mito", seed=0, **others):
    row = {"set": name, "model": model, "seed": seed, "failure": "", "mcc": value, "log_loss": value, "jobs": 1}
    row |= {"parameters": 1, "seconds": 1, "epochs": 1, "device": "cpu", "threads": 1, "processor": "P", "torch": "2"}
    return row | {"date": "2026-01-02", "commit": "abc"} | others


@pytest.fixture
def rows():
    """On one set the variant is better by 0.1 and 0.3, on the other worse by 0.1; one seed has no partner."""
    return [
        row_of("default", 0.5),
        row_of("default", 0.6, seed=1),
        row_of("default", 0.9, "tf"),
        row_of("other", 0.6),
        row_of("other", 0.9, seed=1),
        row_of("other", 0.8, "tf"),
        row_of("other", 0.1, "tf", seed=1),
        row_of("default", None, "tf", seed=2, failure="exit code 2: no"),
    ]


class TestVariants:
    def test_all_of_the_file_are_networks(self):
        from ablations import read_variants
        from candidates import Candidate

        variants = read_variants(VARIANTS, Candidate("paramixer", "paramixer"))
        assert variants[0].name == "default"
        assert len({one.config.model_dump_json() for one in variants}) == len(variants) > 5
        for one in variants:
            assert (
                sum(
                    part.numel()
                    for part in build_classifier(one.config.model.model_copy(update={"max_length": 64}), 2).parameters()
                )
                > 0
            )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("- a\n", "must have a name and a list"),
            ("a: [model.poling=max]\n", r"variant 'a'.*poling"),
            ("default: []\n", "two variants have the same name"),
            ("a: [\n", "not valid YAML"),
        ],
    )
    def test_mistakes_name_the_file(self, tmp_path, text, message):
        from ablations import read_variants
        from candidates import Candidate

        path = tmp_path / "mine.yaml"
        path.write_text(text)
        with pytest.raises(UsageError, match=rf"mine\.yaml: {message}"):
            read_variants(path, Candidate("paramixer", "paramixer"))
        path.unlink()
        with pytest.raises(NoInputError, match=r"mine\.yaml: cannot read"):
            read_variants(path, Candidate("paramixer", "paramixer"))


class TestDifferences:
    def test_they_are_paired(self, rows):
        from ablations import differences_of

        found = differences_of(rows, "mcc")
        assert found == {"other": {"mito": pytest.approx([0.1, 0.3]), "tf": pytest.approx([-0.1])}}

    def test_mean_and_standard_error(self):
        from ablations import summarise

        assert str(summarise([0.1, 0.3])) == "+0.200 ± 0.100"
        assert str(summarise([-0.1])) == "-0.100"

    def test_sign_test(self):
        from ablations import sign_test

        assert sign_test([1.0, 0.2, 3.0, 0.1, 0.0]) == pytest.approx(2 / 16)
        assert sign_test([1.0, -1.0]) == 1
        assert sign_test([0.0, 0.0]) is None

    def test_the_table(self, rows):
        from ablations import to_markdown

        usual, other = ([cell.strip() for cell in line.split("|")[1:-1]] for line in _lines(to_markdown(rows, "mcc")))
        assert usual[:6] == ["default", "-", "-", "-", "-", "-"]
        assert usual[-1] == "3 of 4; failed: exit code 2: no"
        assert other[:6] == ["other", "+0.200 ± 0.100", "-0.100", "+0.050 ± 0.150", "2 / 1", "1.000"]
        assert [cell.strip() for cell in _lines(to_markdown(rows, "log_loss"))[1].split("|")][5] == "1 / 2"


def test_all_are_trained_alike_and_judged_on_validation(make_set, trainer, call_script, tmp_path, capsys, monkeypatch):
    import ablations
    import write_cards

    card = tmp_path / "models/paramixer/README.md"
    card.parent.mkdir(parents=True)
    card.write_text("# paramixer\n")
    monkeypatch.setattr(write_cards, "ROOT", tmp_path)
    trainer.accuracies = {"pooling=max": 0.75}
    folder = make_set("mito")
    words = ("--sets", "mito", "--only", "max pooling", "--seeds", 3, 4, "--epochs", 7)
    assert call_script(ablations, folder.parent, *words, "--results", tmp_path / "found", "--card") == 0
    assert all("--max-epochs 7 --set training.patience=7" in " ".join(call) for call in trainer.calls)
    assert len(trainer.calls) == 4
    with (tmp_path / "found-differences.tsv").open() as table:
        (row,) = csv.DictReader(table, delimiter="\t")
    assert (row["variant"], row["set"], row["pairs"]) == ("max pooling", "mito", "2")
    assert float(row["mean"]) == pytest.approx(0.25)
    assert "| max pooling | +0.250 ± 0.000 |" in capsys.readouterr().out
    assert "<!-- ablations -->" in card.read_text()
    assert "| max pooling | +0.250 ± 0.000 |" in card.read_text()
    card.unlink()
    trainer.calls.clear()
    with pytest.raises(NoInputError, match=r"no such card"):
        call_script(ablations, folder.parent, *words, "--card", out="anew")
    assert trainer.calls == []
    with pytest.raises(UsageError, match="--only 'min pooling'"):
        call_script(ablations, folder.parent, "--sets", "mito", "--only", "min pooling")
    with pytest.raises(UsageError, match="choose one"):
        call_script(ablations, folder.parent, "--sets", "mito", "--epochs", 7, "--budget", "1m")


def test_what_is_kept_is_of_other_sets_and_seeds(make_set, trainer, call_script, tmp_path):
    import ablations

    make_set("mito")
    sets = make_set("tf").parent

    def make(name, *words, out="runs"):
        return call_script(ablations, sets, "--sets", name, "--results", tmp_path / "found", "--keep", *words, out=out)

    def cells(variant):
        (line,) = [
            line for line in (tmp_path / "found.md").read_text().splitlines() if line.startswith(f"| {variant} |")
        ]
        return [cell.strip() for cell in line.split("|")[1:-1]]

    trainer.accuracies = {"pooling=max": 0.75, "pooling=attention": 0.6}
    both = ("--only", "max pooling", "attention pooling", "--epochs", 7)
    assert make("mito", *both, "--seeds", 3, 4) == 0
    assert make("tf", "--only", "max pooling", "--epochs", 7, "--seeds", 3) == 0
    assert cells("max pooling")[1:5] == ["+0.250 ± 0.000", "+0.250", "+0.250 ± 0.000", "3 / 0"]
    assert cells("attention pooling")[1:5] == ["+0.100 ± 0.000", "-", "+0.100", "2 / 0"]
    trainer.accuracies = {"pooling=max": 1.0}
    assert make("tf", "--only", "max pooling", "--epochs", 7, "--seeds", 4) == 0
    assert cells("max pooling")[2] == "+0.375 ± 0.125"
    assert make("mito", "--only", "mean pooling", "--epochs", 7, "--seeds", 3, out="again") == 0
    assert cells("mean pooling")[1] == "+0.000"
    assert cells("max pooling")[1:3] == ["+0.250", "+0.375 ± 0.125"]
    before, calls = (tmp_path / "found.tsv").read_text(), len(trainer.calls)
    with pytest.raises(UsageError, match=r"found\.tsv: has rows of 7 epochs, not 8 epochs; leave out --keep"):
        make("tf", "--epochs", 8)
    with pytest.raises(UsageError, match="has rows of 7 epochs, not no budget"):
        make("tf")
    with pytest.raises(UsageError, match="--keep: keeps the rows of a table; name it with --results"):
        call_script(ablations, sets, "--sets", "mito", "--keep")
    assert (tmp_path / "found.tsv").read_text() == before
    assert len(trainer.calls) == calls


def _lines(text):
    return [line for line in text.splitlines() if line.startswith(("| default", "| other"))]
