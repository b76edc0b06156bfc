"""What the benchmark of splits counts with sets of Python strings is what the package counts with hashes."""

import numpy as np
import pytest
from made_records import make_families, read_records

from genomix.config import DataConfig
from genomix.data.similarity import sketch
from genomix.data.splits import divide_records, measure_nearness


@pytest.mark.usefixtures("_benchmark_scripts")
@pytest.mark.parametrize("kind", ["random", "similarity"])
def test_nearness(tmp_path, kind):
    from similarity_split import count_nearest

    sequences, families = make_families(8, length=300, seed=3)
    sequences["f0-unknown"] = sequences["f0-original"][:100] + "NNRY" + sequences["f0-original"][104:]
    records = read_records(tmp_path, sequences, {name: "ab"[families.get(name, 0) % 2] for name in sequences})
    splits = divide_records(records, DataConfig(split=kind), 0)
    test, train = ([records.ids[row] for row in rows] for rows in (splits.test, splits.train))
    counted = count_nearest(sequences, test, train, sketch(records.store, records.indices).k)
    np.testing.assert_allclose(counted, measure_nearness(records, [splits]), rtol=0, atol=1e-12)
    assert (max(counted) < 0.9) == (kind == "similarity")
