"""What the machine is asked for, and what it says it has."""

import os
import subprocess
import sys

import numba
import pytest
import torch

from genomix import runtime
from genomix.errors import UsageError
from genomix.runtime import SPINS, available_threads, resident_memory_bytes, set_threads

MIB = 1 << 20
SLACK = MIB  # the system counts pages in batches, on each processor
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture
def environment(monkeypatch):
    """Give back the threads and the environment as they were."""
    for name in (*VARIABLES, "NUMBA_NUM_THREADS", "GOMP_SPINCOUNT", "SLURM_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    yield monkeypatch
    set_threads(1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is held now")
def test_memory_that_is_used_is_held_and_its_peak_remembered():
    """In a process of its own: in this one, freed memory may have been kept for the next to ask."""
    program = f"""
import numpy as np
from genomix.runtime import resident_memory_bytes
before = resident_memory_bytes()
unused = np.empty({100 * MIB}, dtype=np.uint8)
assert resident_memory_bytes() - before < {50 * MIB}
block = np.ones({100 * MIB}, dtype=np.uint8)
held, peak = resident_memory_bytes(), resident_memory_bytes(peak=True)
assert {95 * MIB} < held - before < {150 * MIB}
assert peak >= held - {SLACK}
del block
assert resident_memory_bytes() < held - {95 * MIB}
assert resident_memory_bytes(peak=True) >= peak - {SLACK}
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("peak", [False, True])
def test_where_the_system_does_not_say_the_most_is_told(monkeypatch, peak):
    known = resident_memory_bytes(peak=True)
    monkeypatch.setattr(runtime, "_read_lines", lambda _: [])
    assert resident_memory_bytes(peak=peak) >= 0.95 * known
    assert resident_memory_bytes(peak=peak) % 1024 == 0 or sys.platform == "darwin"


def test_every_library_gets_the_threads(environment):
    assert set_threads(2) == 2
    assert [os.environ[name] for name in VARIABLES] == ["2"] * len(VARIABLES)
    assert torch.get_num_threads() == 2


def test_numba_is_not_told_what_it_would_refuse(environment):
    """Once it is there, it takes a changed environment for a mistake."""
    set_threads(2)
    assert os.environ["NUMBA_NUM_THREADS"] == "1"
    numba.njit(lambda: 1)()


def test_what_numba_starts_later_leaves_torch_its_threads():
    """It starts as many as it was told when it was imported, and torch would take over their number."""
    program = """
import torch, numba
from genomix.runtime import set_threads
assert numba.config.NUMBA_NUM_THREADS == 2
set_threads(1)
assert numba.get_num_threads() == torch.get_num_threads() == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "2"})


def test_waiting_threads_are_made_to_sleep_soon(environment):
    set_threads(1)
    assert os.environ["GOMP_SPINCOUNT"] == SPINS


@pytest.mark.parametrize("stated", ["0", "77", "infinity"])
def test_how_long_threads_wait_is_up_to_the_user(environment, stated):
    environment.setenv("GOMP_SPINCOUNT", stated)
    set_threads(1)
    assert os.environ["GOMP_SPINCOUNT"] == stated


def test_numbers_too_small_for_full_precision_are_zero(environment):
    tiny = torch.tensor([1e-30])
    torch.set_flush_denormal(False)
    assert (tiny * 1e-10).item() > 0
    set_threads(1)
    assert (tiny * 1e-10).item() == 0


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_at_all_are_refused(environment, threads):
    with pytest.raises(UsageError, match=f"--threads must be at least 1, not {threads}"):
        set_threads(threads)


def test_all_that_are_granted_are_used_by_default(environment):
    environment.setenv("SLURM_CPUS_PER_TASK", "3")
    assert available_threads() == set_threads(None) == torch.get_num_threads() == 3
    environment.setenv("SLURM_CPUS_PER_TASK", "many")
    assert 1 <= available_threads() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    "words",
    [
        "DefaultCPUAllocator: x",
        "Can't allocate memory",
        "not enough memory: you tried",
        "Storage size calculation overflowed with sizes",
    ],
)
def test_what_torch_says_of_too_little_memory_is_known(words):
    assert runtime.is_out_of_memory(RuntimeError(words))
    assert not runtime.is_out_of_memory(ValueError(words))


def test_other_errors_are_not_of_memory():
    assert runtime.is_out_of_memory(MemoryError())
    assert runtime.is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not runtime.is_out_of_memory(RuntimeError("shape mismatch"))
