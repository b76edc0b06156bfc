"""Several processes train as one with as many records at once would: the same weights, losses and scores."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from together import TRAININGS, train

from genomix.distributed import RankLostError, Ranks

SIZES = (2, 3)


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} processes")
def found(request, tmp_path_factory):
    """What each process has found."""
    folder = tmp_path_factory.mktemp("together")
    script = Path(__file__).with_name("together.py")
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(request.param), str(folder / "meeting"), str(folder / "out")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(request.param)
    ]
    try:
        ended = [(process.communicate(timeout=240)[0], process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert all(code == 0 for _, code in ended), "\n".join(output for output, _ in ended)
    return [torch.load(folder / f"out.{rank}", weights_only=False) for rank in range(request.param)]


class TestRanks:
    def test_what_the_first_shares_all_have(self, found):
        assert [one["share"] for one in found] == ["of 0"] * len(found)

    def test_what_all_have_all_gather(self, found):
        assert [one["gather"] for one in found] == [list(range(len(found)))] * len(found)

    def test_the_most_is_over_all(self, found):
        assert [one["most"] for one in found] == [[len(found) - 1, 0]] * len(found)

    def test_tensors_are_added_up_each_by_itself(self, found):
        numbers = range(len(found))
        for one in found:
            assert torch.equal(one["add_up"][0], torch.full((2, 2), float(sum(number + 1 for number in numbers))))
            assert torch.equal(one["add_up"][1], torch.tensor(float(sum(numbers))))

    def test_the_gradient_of_a_sum_is_that_of_all_losses(self, found):
        total = sum(number + 1 for number in range(len(found)))
        for one in found:  # each process has the loss (sum of x)^2
            assert one["gradient"].item() == len(found) * 2 * total


@pytest.mark.parametrize("name", TRAININGS)
def test_they_train_as_one_with_as_many_bases_at_once(found, name):
    options = {"batch_bases": 10**6} | TRAININGS[name]
    options["batch_bases"] *= len(found)
    weights, history = train(Ranks(), num_shares=1, **options)
    for one in found:
        ours, our_history = one[name]
        for key, value in weights.items():
            torch.testing.assert_close(ours[key], value, rtol=0, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
        for row, expected in zip(our_history, history, strict=True):
            assert row[:2] == expected[:2]
            assert row[2] == pytest.approx(expected[2], abs=1e-6)
            assert row[3] == pytest.approx(expected[3], abs=1e-6)


def test_one_process_alone_needs_nobody():
    ranks = Ranks()
    tensor = torch.ones(2)
    ranks.add_up([tensor])
    ranks.barrier()
    assert torch.equal(tensor, torch.ones(2))
    assert ranks.share(3) == 3
    assert ranks.gather(3) == [3]
    assert ranks.most(1, 2) == [1, 2]
    assert ranks.sum_with_gradient(tensor) is tensor


@pytest.mark.parametrize("on_the_way", ["forth", "back"])
def test_a_sum_with_one_that_is_lost_is_told_as_such(monkeypatch, on_the_way):
    def closed(_):
        if calls.pop() == on_the_way:
            raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer. GLHF!")

    calls = ["back", "forth"]
    monkeypatch.setattr(torch.distributed, "all_reduce", closed)
    point = torch.tensor([1.0], requires_grad=True)
    with pytest.raises(
        RankLostError, match=r"^another process of this training is gone \(Connection closed by peer\)$"
    ):
        Ranks(0, 2).sum_with_gradient(point).backward()
