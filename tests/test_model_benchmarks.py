"""The scripts that set models against each other: equal sizes, right errors, figures where they belong."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")


class Oracle(nn.Module):
    """Answers as it is told to, from the inputs."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, inputs, lengths):
        return self.answer(inputs)


def add_up(inputs):
    return 0.5 + (inputs[:, :, 0] * inputs[:, :, 1]).sum(1) / 4


def read_order(tokens):
    marks = torch.stack([row[row >= 4].long() - 4 for row in tokens])
    return nn.functional.one_hot(2 * marks[:, 0] + marks[:, 1], 4).float()


class TestLengthError:
    @pytest.mark.parametrize(
        ("task", "answer", "low", "high"),
        [
            ("adding", add_up, 0, 0),
            ("adding", lambda inputs: torch.full((len(inputs),), 0.5), 80, 90),
            ("adding", lambda inputs: add_up(inputs) + 0.041, 100, 100),
            ("temporal-order", read_order, 0, 0),
            ("temporal-order", lambda inputs: torch.eye(4)[torch.zeros(len(inputs), dtype=torch.long)], 65, 85),
        ],
    )
    def test_error_of_known_answers(self, task, answer, low, high):
        from problems import Problem

        error = Problem(task).error(Oracle(answer), 400, 30, 64, np.random.default_rng(0))
        assert low <= error <= high

    def test_rows_are_written_once_and_drawn(self, tmp_path, monkeypatch, capsys):
        import length_error

        results, picture = tmp_path / "adding.jsonl", tmp_path / "adding.png"
        arguments = ["length_error.py", "adding", "--models", "paramixer", "--lengths", "8", "16", "--minutes", "0.005"]
        arguments += ["--give-up", "100", "--tested", "20", "--results", str(results), "--plot", str(picture)]
        monkeypatch.setattr(sys, "argv", arguments)
        length_error.main()
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        assert [row["length"] for row in rows] == [8, 16]
        assert all(row["steps"] > 0 and 0 <= row["error"] <= 100 for row in rows)
        assert picture.read_bytes().startswith(b"\x89PNG")
        before = results.read_text()
        length_error.main()
        assert results.read_text() == before
        assert "paramixer\t16" in capsys.readouterr().out

    def test_lost_network_ends(self, tmp_path, monkeypatch):
        import length_error

        results = tmp_path / "order.jsonl"
        arguments = ["length_error.py", "temporal-order", "--models", "linear-transformer", "--lengths", "64", "128"]
        arguments += ["--minutes", "0.001", "--tested", "200", "--give-up", "10", "--results", str(results)]
        monkeypatch.setattr(sys, "argv", arguments)
        length_error.main()
        assert len(results.read_text().splitlines()) == 1


class TestCompareModels:
    @pytest.mark.parametrize("preset", ["paramixer", "transformer", "linformer", "mamba", "cdil-cnn", "chordmixer"])
    @pytest.mark.parametrize("length", [251, 16_384])
    def test_networks_are_as_large_as_asked_for(self, preset, length):
        from compare_models import count_parameters, size_like

        sized = size_like(preset, 150_000, length, 7)
        assert sized.num_parameters == pytest.approx(150_000, rel=0.02)
        assert count_parameters(preset, sized.overrides, 7) == sized.num_parameters

    def test_published_baseline_keeps_its_size(self):
        from compare_models import size_like

        assert size_like("cnn", 150_000, 251, 2).overrides == {"model.max_length": 251, "model.composition": None}

    def test_table_has_the_best_first_and_says_what_failed(self):
        from compare_models import to_markdown

        rows = [
            {"model": "lost", "parameters": 5, "sizes": {}},
            {"model": "second", "parameters": 10, "epochs": 3, "sizes": {"hidden_dim": 3}}
            | {name: [0.5, 0.4, 0.6] for name in METRICS},
            {"model": "first", "parameters": 10, "epochs": 3, "sizes": {"hidden_dim": 3}}
            | {name: [0.9, 0.8, 1.0] for name in METRICS},
        ]
        lines = to_markdown({"rows": rows}).splitlines()
        assert [line.split("`")[1] for line in lines[2:]] == ["first", "second", "lost"]
        assert "0.900 (0.800 to 1.000)" in lines[2]
        assert "failed" in lines[4]


METRICS = ("accuracy", "f1_macro", "log_loss")


class TestWriteCards:
    def test_only_what_is_between_the_marks_changes(self, tmp_path):
        from write_cards import replace_marked

        card = tmp_path / "README.md"
        card.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nbehind\n")
        replace_marked(card, "new")
        assert card.read_text() == "before\n<!-- measured -->\nnew\n<!-- /measured -->\nbehind\n"
        card.write_text("no marks\n")
        replace_marked(card, "new")
        assert card.read_text() == "no marks\n"
