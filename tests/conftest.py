"""One thread, and a cache of its own, for every test session."""

import os
from pathlib import Path
from unittest import mock

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")  # before torch and numba are imported

import pytest
import torch

torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported: its kernels then run on the CPU


@pytest.fixture(autouse=True)
def _as_before():
    """What a command run within a test sets for its process ends with it: the environment, threads, small numbers."""
    with mock.patch.dict(os.environ):
        yield
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENOMIX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def _benchmark_scripts():
    """The scripts in benchmarks/ import each other by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
        yield


@pytest.fixture(scope="session")
def records(tmp_path_factory, _own_cache):
    """Forty labelled records of 60 bp of two classes, which differ in what they are made of."""
    import numpy as np

    from genomix.data.labels import load_labelled

    directory = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(1)
    shares = {"a": [0.4, 0.1, 0.1, 0.4], "b": [0.1, 0.4, 0.4, 0.1]}
    labels = ["ab"[i % 2] for i in range(40)]
    text = "".join(f">q{i}\n{''.join(rng.choice(list('ACGT'), 60, p=shares[x]))}\n" for i, x in enumerate(labels))
    (directory / "data.fa").write_text(text)
    table = "id\tlabel\n" + "".join(f"q{i}\t{x}\n" for i, x in enumerate(labels))
    (directory / "labels.tsv").write_text(table)
    return load_labelled([str(directory / "data.fa")], str(directory / "labels.tsv"), warn=print)


SLOW = {
    "test_workflows.py": ("test_snakemake", "test_tasks_of_nextflow"),
    "test_readme.py": ("test_the_transcript", "test_the_commands"),
    "test_devices.py": ("test_a_", "test_srun", "test_where_one", "test_bad_data", "test_two_processes"),
    "test_resumed_training.py": (
        "TestFaults",
        "test_a_member_of",
        "test_it_stops_ahead",
        "test_a_torn",
        "test_a_kill",
        "test_a_signal_stops_it_behind_a_step_and_nothing_is_lost",
        "test_one_at_a_time_and_then_together",
        "test_the_same_command",
        "test_sequences_may_have_moved",
        "TestWhatIsGoneOnWith",
        "complete_ones",
        "a_fold_that",
    ),
    "test_together.py": ("2 processes", "3 processes"),
    "test_sweep.py": ("test_a_training_step_goes",),
    "test_resume.py": ("test_stopped_after_any_steps", "killed_after", "stopped_while"),
    "test_gradient.py": ("shuffled-paper",),
    "test_benchmark.py": ("TestJson", "TestTable", "TestFiles"),
    "test_slurm_jobs.py": ("TestArray",),
    "test_shards.py": ("TestStopped", "shards_are_merged"),
    "test_several.py": ("test_what_is_not_of_a_run", "test_with_force_no_fold", "TestComparing", "test_its_folds_can"),
    "test_default_network.py": ("test_two_processes", "test_several", "test_labels_each"),
    "test_train.py": (
        "test_it_is_said_that_weights",
        "test_interrupted",
        "test_a_fresh_process",
        "test_small_batches",
        "test_rare_classes",
        "test_forward_strand_only",
        "the_resolved_one",
        "the_splits_of_a_run",
        "bad_records_are",
    ),
    "test_predict_tracks.py": ("TestKills", "TestFormats"),
    "test_threads.py": ("test_a_training", "test_a_prediction", "test_what_the_machine"),
    "test_doctor.py": ("test_a_machine_without",),
    "test_plot.py": ("test_other_formats",),
    "test_label_kinds.py": ("test_blanks_around", "it_becomes", "a_network_learns"),
    "test_penalty.py": ("test_training_with_a_large",),
    "test_report.py": ("test_a_process_of_its_own",),
    "test_stdout.py": ("test_a_full_disk[evaluate", "test_a_full_disk[predict"),
    "test_embed.py": ("test_many_rows",),
    "test_mixing.py": ("test_kernel_is_right_on_two",),
    "test_explain_command.py": ("test_the_document", "each_method", "kmer_models"),
    "test_factors.py": ("test_kernel_is_right_for_narrower", "test_kernel_is_right_on_two"),
    "test_factors_triton.py": (
        "test_all_kernels_compile",
        "half_types",
        "collide",
        "link_weights_made",
        "what_lies_behind",
    ),
    "test_simd.py": ("test_other_vector_units",),
    "test_encoders.py": ("test_learns_thirty_two", "the_same_in_any_company"),
    "test_model_benchmarks.py": ("test_networks_are_as_large",),
    "test_study.py": (
        "test_importance_only",
        "test_a_study_in_two_parts",
        "test_other_training_records",
        "[log_loss]",
        "TestHowTrialsEnd",
        "the_same_seed",
        "the_best_configuration",
        "what_is_collected",
    ),
    "test_tune.py": (
        "TestSeveralProcesses",
        "test_the_time_of_each",
        "test_the_best_configuration_trains",
        "TestLimits",
        "TestJobs",
        "all_trials_fail",
        "a_key_that",
        "test_the_document",
    ),
    "test_held_back.py": ("test_results_do_not_depend",),
    "test_benchmarks.py": ("test_a_contender",),
    "test_making_data.py": ("test_motif_pair",),
    "test_pretrain.py": (
        "test_a_signal",
        "test_the_commands",
        "test_each_of_several",
        "test_weights_and",
        "TestLineage",
        "a_rehearsal",
    ),
    "test_pretraining.py": (
        "test_it_learns",
        "test_a_start_that",
        "stops2",
        "test_a_trained_classifier",
        "ends_with_the_same_bits",
    ),
    "test_ways_of_training.py": ("ends_with_the_same_bits",),
    "test_trust.py": ("TestAbstaining", "TestCoverage", "evaluation_can_leave", "older_models"),
    "test_mixing_triton.py": ("half_types", "collide", "blocks_meet", "what_lies_behind"),
    "test_composition_search.py": ("a_training_stopped", "what_is_stated_beside", "the_baseline_of_another"),
    "test_planted.py": ("test_",),
    "test_sharded.py": ("merged_shards", "the_rest_is"),
    "test_overfit.py": ("learns_sixteen",),
    "test_interval_coverage.py": ("test_",),
    "test_kmer_fit.py": ("naive_bayes_is_that",),
    "test_kmer_mismatch.py": ("a_network_that_is", "single_precision"),
    "test_split.py": ("the_files_are", "what_the_labels", "fractions_and"),
    "test_predict.py": ("a_reader_that_leaves",),
    "test_bad_input.py": ("a_fresh_process",),
    "test_slurm.py": ("what_is_wrong",),
    "test_check.py": ("several_labels", "labels_that_are_paths"),
    "test_explain.py": ("all_files", "what_was_there"),
    "test_report_page.py": ("of_many_records",),
    "test_length_and_class.py": ("different_lengths_are",),
}
"""Tests that take seconds, by file and words of their names; most start processes. `make test-slow` runs them."""


def pytest_collection_modifyitems(items):
    for item in items:
        words = SLOW.get(item.path.name, ())
        if any(word in item.nodeid.partition("::")[2] for word in words):
            item.add_marker(pytest.mark.slow)
