"""What is timed: the steps, how often they are repeated, and the processes they run in."""

import sys

import pytest
import torch

from genomix.benchmark import sweep, timing
from genomix.benchmark.results import FAILED, OUT_OF_MEMORY, Setting
from genomix.benchmark.workload import Workload
from genomix.config import make_config
from genomix.nn.build import build_classifier
from genomix.train.optimise import make_optimizer

SETTING = Setting("paramixer-paper", "inference", 64, 1, 1, "float32", "cpu")


class TestWorkload:
    @pytest.fixture
    def workload(self):
        torch.manual_seed(3)
        config = make_config("paramixer-paper", overrides={"model.max_length": 64})
        return Workload(
            build_classifier(config.model, 2),
            lambda network: make_optimizer(network, config.training),
            length=64,
            batch_size=2,
            clip_norm=1.0,
            dtype="float32",
            device="cpu",
        )

    def test_a_training_step_goes_through_every_weight_and_leaves_it(self, workload):
        before = [parameter.clone() for parameter in workload.classifier.parameters()]
        steps = []
        workload.classifier.register_forward_hook(lambda module, *_: steps.append(module.training))
        clipped = [(parameter, []) for parameter in workload.classifier.parameters()]
        for parameter, seen in clipped:
            parameter.register_post_accumulate_grad_hook(
                lambda parameter, seen=seen: seen.append(parameter.grad.norm())
            )
        workload.prepare("training")()
        assert steps == [True]
        assert all(len(seen) == 1 and 1e-12 < seen[0] < 1e12 for _, seen in clipped)
        for parameter, was in zip(workload.classifier.parameters(), before, strict=True):
            assert parameter.grad is None
            torch.testing.assert_close(parameter, was, rtol=0, atol=0)

    def test_inference_keeps_nothing_for_a_backward_pass(self, workload):
        seen = []
        workload.classifier.register_forward_hook(lambda module, _, logits: seen.append((module.training, logits)))
        workload.prepare("inference")()
        ((training, logits),) = seen
        assert not training
        assert logits.is_inference()
        assert logits.shape == (2, 2)


class TestTiming:
    @pytest.fixture
    def took(self, monkeypatch):
        """Runs that take the seconds they are told to; the list grows by those that were done."""
        done = []

        def time_once(run):
            done.append(run())
            return done[-1]

        monkeypatch.setattr(timing, "time_once", time_once)
        return done

    @pytest.mark.parametrize(("seconds", "repeats"), [(0.125, 8), (0.3, 4), (5.0, 3), (9.0, 3), (11.0, 1)])
    def test_at_least_three_and_a_second_unless_they_are_long(self, took, seconds, repeats):
        assert len(timing.time_repeats(lambda: seconds)) == repeats
        assert len(took) == repeats

    def test_as_many_as_asked_for(self, took):
        assert timing.time_repeats(lambda: 20.0, 2) == [20.0, 20.0]

    @pytest.mark.parametrize(("seconds", "runs"), [(0.1, 2), (11.0, 1)])
    def test_warm_up(self, took, seconds, runs):
        timing.warm_up(lambda: seconds)
        assert len(took) == runs


class TestProcesses:
    """A program that stands for Python says how the process of a measurement ends."""

    @pytest.fixture
    def ending(self, monkeypatch, tmp_path):
        def ending(line):
            program = tmp_path / "python"
            program.write_text(f"#!/bin/sh\n{line}\n")
            program.chmod(0o755)
            monkeypatch.setattr(sys, "executable", str(program))

        return ending

    @pytest.mark.parametrize(
        ("line", "outcome"), [("kill -KILL $$", OUT_OF_MEMORY), ("exit 77", OUT_OF_MEMORY), ("exit 1", FAILED)]
    )
    def test_one_that_fails_is_told_apart(self, ending, line, outcome):
        ending(line)
        assert sweep.measure_apart(SETTING) == outcome

    @pytest.mark.parametrize("line", ["exit 130", "kill -INT $$"])
    def test_one_that_is_interrupted_ends_the_sweep(self, ending, line):
        ending(line)
        with pytest.raises(KeyboardInterrupt):
            sweep.measure_apart(SETTING)

    def test_the_last_line_is_the_answer(self, ending):
        fields = ("seconds", "repeats", "peak_memory_mib", "baseline_memory_mib", "num_parameters")
        numbers = ", ".join(f'"{name}": {i}' for i, name in enumerate(fields))
        ending(f"""echo chatter; echo '{{{numbers}, "torch_version": "2", "processor": "p"}}'""")
        assert sweep.measure_apart(SETTING).num_parameters == 4
