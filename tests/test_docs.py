"""The Python code in the documents runs as it stands."""

import re
from pathlib import Path

import torch

from genomix.data.simulated import Problem, write_simulated

DOCS = Path(__file__).parent.parent / "docs"


def test_networks_for_simulated_problems(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, task in (("adding", "adding"), ("order", "temporal-order")):
        Path(name).mkdir()
        write_simulated(Problem(task, 1024, {"train": 10, "val": 0, "test": 0}), Path(name))
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "simulate.md").read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    assert names["numbers"].shape == (8,)
    assert names["logits"].shape == (8, 4)
    assert torch.isfinite(names["numbers"]).all()
    assert torch.isfinite(names["logits"]).all()
