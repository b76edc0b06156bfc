"""Accuracy against context and against the number of training records."""

import math
from collections import Counter

import matplotlib.image
import numpy as np
import pytest
import torch

from genomix.errors import NoInputError, UsageError
from genomix.nn.build import build_classifier
from genomix.train.plan import resolve

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")


class TestContext:
    def test_every_length_reads_as_many_bases(self):
        from context import count_epochs

        lengths = np.array([100, 200, 300])
        assert [count_epochs(6000, lengths, most) for most in (50, 100, 200, 300)] == [40, 20, 12, 10]
        with pytest.raises(UsageError, match="one epoch of 300 bp a record reads 600"):
            count_epochs(200, lengths, 300)

    def test_without_mixing_no_position_sees_another(self):
        """By its own weights, none of them zero: a new network has not begun to mix yet."""
        from candidates import parse_candidates
        from context import MODELS

        changes = []
        for candidate in parse_candidates(MODELS):
            torch.manual_seed(0)
            network = candidate.config.model.model_copy(update={"max_length": 128})
            encoder = build_classifier(network, 2).encoder.eval()
            for parameter in encoder.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            embedded, lengths = torch.randn(1, 32, 64), torch.tensor([32])
            other = embedded.clone()
            other[:, 20] += 1
            with torch.no_grad():
                changes.append((encoder(embedded, lengths) - encoder(other, lengths)).abs().amax(dim=2)[0])
        mixing, off = changes
        assert (off > 0).nonzero().flatten().tolist() == [20]
        assert (mixing > 0).sum() > 16

    def test_only_the_length_differs(self):
        """Of records that are read whole a training decides other things than of crops, unless it is told."""
        from candidates import parse_candidates
        from context import MODELS

        lengths = np.linspace(10_700, 20_300, 637).astype(int)
        for candidate in parse_candidates(MODELS):
            decided = []
            for length in (1024, 4096, 16384, 20_300):
                config = candidate.config.model_copy(deep=True)
                config.model.max_length = length
                config.training.max_epochs = 10
                config.training.batch_bases = 1 << 20  # whatever there is memory for
                resolved, _ = resolve(config, lengths, 1_400_000, 8, "cpu")
                resolved.model.max_length = None
                decided.append(resolved)
            assert all(one.model == decided[0].model for one in decided)
            assert all(one.training == decided[0].training for one in decided)
            assert all(one == decided[0] for one in decided)
            assert decided[0].model.pooling == "mean"
            assert decided[0].training.mask_fraction == 0
            assert 10 * math.ceil(637 / decided[0].training.batch_records) == 260

    def test_as_many_epochs(self, make_set, trainer, call_script, capsys):
        import context

        assert call_script(context, make_set("mito"), "--lengths", 100, "whole", "--epochs", 7) == 0
        lines = [" ".join(call) for call in trainer.calls]
        assert all("--max-epochs 7 " in line for line in lines)
        assert len(lines) == 4
        assert "budget of a run: 7 epochs" in capsys.readouterr().out
        with pytest.raises(UsageError, match="or --epochs"):
            call_script(context, make_set("other"), "--epochs", 7, "--bases", 64000)

    def test_runs_table_and_picture(self, make_set, trainer, call_script, tmp_path, capsys):
        import context

        trainer.accuracies = {"link_scale=0": 0.6, "--max-length 400": 0.9}
        words = ("--lengths", 100, "whole", "--bases", 64000, "--results", tmp_path / "c", "--plot", tmp_path / "c.png")
        assert call_script(context, make_set("mito"), *words) == 0
        lines = [" ".join(call) for call in trainer.calls]
        assert [line.count("--max-length 100 --max-epochs 40 ") for line in lines] == [1, 1, 0, 0]
        assert [line.count("--max-length 400 --max-epochs 10 ") for line in lines] == [0, 0, 1, 1]
        out = capsys.readouterr().out
        assert "| context (bp) | mixing | mixing off |" in out
        assert "| whole | **0.900 [0.800, 1.000]** | 0.600 [0.500, 0.700] |" in out
        assert "budget of a run: 64,000 bases" in out
        picture = matplotlib.image.imread(tmp_path / "c.png")[..., :3]
        for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):
            assert (np.abs(picture - np.array(colour) / 255).max(2) < 0.1).sum() > 500

    def test_table_and_picture_in_the_docs(self, make_set, trainer, call_script, tmp_path, monkeypatch):
        import context
        import write_cards

        monkeypatch.setattr(write_cards, "ROOT", tmp_path)
        (tmp_path / "docs").mkdir()
        page = tmp_path / "docs" / "accuracy.md"
        page.write_text("before\n<!-- context mito -->\nold\n<!-- /context mito -->\nbehind\n")
        trainer.accuracies = {"link_scale=0": 0.6, "--max-length 400": 0.9}
        words = ("--lengths", 100, "whole", "--bases", 64000, "--docs")
        mito = make_set("mito")
        assert call_script(context, mito, *words) == 0
        text = page.read_text()
        assert "| whole | **0.900 [0.800, 1.000]** | 0.600 [0.500, 0.700] |" in text
        assert "![accuracy by bases read at once](context-mito.png)\n<!-- /context mito -->\nbehind\n" in text
        assert "old" not in text
        assert matplotlib.image.imread(tmp_path / "docs" / "context-mito.png").size
        with pytest.raises(UsageError, match="--judge val is for choosing"):
            call_script(context, mito, *words, "--judge", "val")
        with pytest.raises(NoInputError, match="<!-- context other -->"):
            call_script(context, make_set("other"), *words)

    def test_either_bases_or_a_budget(self, make_set, trainer, call_script):
        import context

        folder = make_set("mito")
        for words in ((), ("--bases", 10**6, "--budget", "1m")):
            with pytest.raises(UsageError, match="give --bases"):
                call_script(context, folder, *words)


class TestLearningCurve:
    @pytest.fixture
    def rows(self):
        from genomix.data.labels import LabelRow

        splits = ["train"] * 8 + ["val", "test"]
        return [LabelRow(f"r{i}", "abb"[i % 3], None, splits[i % 10], "t", i) for i in range(200)]

    def test_classes_keep_their_shares_and_other_records_stay(self, rows):
        from learning_curve import draw_records

        found = draw_records(rows, 0.25, 1)
        whole = Counter((row.label, row.split) for row in rows)
        counts = Counter((row.label, row.split) for row in found)
        for label in "ab":
            assert counts[label, "train"] == pytest.approx(whole[label, "train"] / 4, abs=1)
            assert all(counts[label, split] == whole[label, split] for split in ("val", "test"))
        assert sum(row.split == "train" for row in found) == 40

    def test_smaller_ones_are_inside_larger_ones_and_seeds_differ(self, rows):
        from learning_curve import draw_records

        small, large, whole = ({row.id for row in draw_records(rows, share, 1)} for share in (0.1, 0.5, 1.0))
        assert small < large < whole == {row.id for row in rows}
        assert small != {row.id for row in draw_records(rows, 0.1, 2)}

    def test_a_missing_val_is_drawn_from_all_training_records(self, rows):
        from learning_curve import draw_records

        for row in rows:
            row.split = "train" if row.split == "val" else row.split
        small, large = ({row.id for row in draw_records(rows, share, 1) if row.split == "val"} for share in (0.1, 1.0))
        assert small == large
        assert len(small) == pytest.approx(0.15 * 180, abs=1)

    def test_runs_and_table(self, make_set, trainer, call_script, tmp_path, capsys):
        import learning_curve
        from measured import read_tsv

        words = ("--fractions", 1, 0.5, "--models", "kmer", "--seeds", 0, 1, "--results", tmp_path / "l")
        assert call_script(learning_curve, make_set("mito"), *words, "--plot", tmp_path / "l.svg") == 0
        found = [(row["point"], row["x"], row["seed"]) for row in read_tsv(tmp_path / "l.tsv")]
        assert found == [("0.5", "8", "0"), ("0.5", "8", "1"), ("1", "16", "0"), ("1", "16", "1")]
        assert "| 0.5 | **0.505 [0.405, 0.605] ± 0.007** |" in capsys.readouterr().out
        assert (tmp_path / "l.svg").read_text().startswith("<?xml")
