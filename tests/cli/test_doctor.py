"""`genomix doctor`: what is there is told, what is broken is found, and each problem has its mend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from genomix.cli.doctor import doctor as command
from genomix.doctor.kernels import check_kernels
from genomix.doctor.machine import control_group_cores, look_at

NAMES = ["versions", "threads", "memory", "devices", "cache", "current directory", "compiled kernels"]


@pytest.fixture
def doctor(environment, tmp_path):
    """Run the command with other variables; return how it ended, and what it found by name."""

    def doctor(*words, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "genomix", "doctor", "--json", *words],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)}

    return doctor


def test_a_machine_without_compiled_kernels(doctor, tmp_path):
    code, found = doctor(NUMBA_CACHE_DIR=str(tmp_path / "numba"))
    assert code == 0
    assert list(found) == NAMES
    assert found["versions"]["figures"]["genomix"]
    assert found["cache"]["figures"]["free_bytes"] > 0
    assert found["compiled kernels"]["status"] == "warning"
    assert "not compiled yet" in found["compiled kernels"]["text"]
    assert "--compile" in found["compiled kernels"]["mend"]


def test_every_problem_has_its_mend(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "640")
    monkeypatch.setenv("GENOMIX_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("genomix.runtime.set_threads", lambda _: 1)
    with pytest.raises(typer.Exit) as left:
        command(as_json=True)
    assert left.value.exit_code == 1
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["threads"]["status"] == "warning"
    assert "640 threads would share" in found["threads"]["text"]
    assert "--threads" in found["threads"]["mend"]
    assert found["cache"]["status"] == "broken"
    assert "GENOMIX_CACHE" in found["cache"]["mend"]
    assert all(bool(finding["mend"]) == (finding["status"] != "ok") for finding in found.values())


def test_for_people(genomix_apart):
    done = genomix_apart("doctor")
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("ok       versions")
    assert "current directory" in done.stdout


class TestKernels:
    def test_they_compute_what_the_reference_does(self):
        found = check_kernels("cpu")
        assert found.status == "ok"
        assert 0 < max(found.figures.values()) < 1e-5

    @pytest.mark.parametrize("name", ["mixing.mix", "factors.mix_factors"])
    def test_a_wrong_one_is_found(self, monkeypatch, name):
        from genomix.nn import factors, mixing

        module, function = {"mixing": mixing, "factors": factors}[name.split(".")[0]], name.split(".")[1]
        right = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *given, **options: right(*given, **options) * 1.001)
        found = check_kernels("cpu")
        assert found.status == "broken"
        assert found.mend

    def test_one_that_fails_is_told(self, monkeypatch):
        from genomix.nn import mixing

        def fail(*_, **__):
            raise OSError("no such instruction")

        monkeypatch.setattr(mixing, "mix", fail)
        found = check_kernels("cpu")
        assert (found.status, found.text) == ("broken", "fail: OSError: no such instruction")


class TestMachine:
    def test_the_cores_of_a_control_group(self, tmp_path):
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "self").write_text("0::/a/b\n")
        assert control_group_cores(tmp_path, tmp_path / "self") is None
        (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
        assert control_group_cores(tmp_path, tmp_path / "self") is None
        (tmp_path / "a" / "cpu.max").write_text("250000 100000\n")
        assert control_group_cores(tmp_path, tmp_path / "self") == 2.5
        assert control_group_cores(tmp_path, tmp_path / "none") is None

    @pytest.mark.parametrize(("free", "status"), [(1 << 40, "ok"), (1 << 29, "warning"), (1 << 20, "broken")])
    def test_room(self, monkeypatch, tmp_path, free, status):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        found = look_at("cache", tmp_path / "not" / "yet", "make room", "warning")
        assert (found.status, found.mend) == (status, "" if status == "ok" else "make room")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
    def test_what_cannot_be_written(self, tmp_path):
        tmp_path.chmod(0o500)
        assert look_at("cache", Path(tmp_path), "mend", "broken").status == "broken"
