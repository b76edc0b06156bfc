"""Tables of accuracy: the best first and bold, what failed behind, and figures where they belong."""

import pytest

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")


def row_of(model, mcc, seed=0, name="mito", **others):
    """Return a row whose log loss is 1 - MCC and whose other metrics are its MCC."""
    from measured import METRICS

    row = {"set": name, "budget": "", "jobs": 1, "model": model, "seed": seed, "failure": "", "split": "test"}
    row["records"] = 20
    for metric in METRICS:
        value = 1 - mcc if metric == "log_loss" else mcc
        row |= {metric: value, f"{metric}_low": value - 0.1, f"{metric}_high": value + 0.2}
    row |= {"parameters": 1000, "seconds": 2.0 + seed, "epochs": 3, "device": "cpu", "threads": 1}
    return row | {"processor": "P", "torch": "2", "date": "2026-01-02", "commit": "abc"} | others


def failed(model, seed=0, name="mito"):
    return {"set": name, "budget": "", "jobs": 1, "model": model, "seed": seed, "failure": "exit code 2: no"}


@pytest.fixture
def rows():
    return [row_of("second", 0.5), failed("lost"), row_of("first", 0.7), row_of("first", 0.9, seed=1)]


class TestOneSet:
    def test_best_first_and_bold_and_failures_behind(self, rows):
        from accuracy_tables import set_table

        lines = set_table(rows).splitlines()[2:]
        assert [line.split("`")[1] for line in lines] == ["first", "second", "lost"]
        cells = [cell.strip() for cell in lines[0].split("|")[2:-1]]
        assert cells[0] == "**0.800 [0.700, 1.000] ± 0.141**"
        assert cells[5] == "**0.200 [0.100, 0.400] ± 0.141**"
        assert cells[6:] == ["1,000", "2", "3", "2"]
        assert "**" not in lines[1]
        assert "0.500 [0.400, 0.700] |" in lines[1]
        assert "0 of 1; failed: exit code 2: no" in lines[2]

    def test_a_mean_over_the_seeds_that_did_not_fail(self, rows):
        from accuracy_tables import set_table

        (line,) = (one for one in set_table([*rows, failed("second", 1)]).splitlines() if "second" in one)
        assert "0.500 [0.400, 0.700] |" in line
        assert "1 of 2; failed" in line

    def test_one_of_which_a_seed_failed_is_behind_and_never_the_best(self, rows):
        from accuracy_tables import set_table

        lines = set_table([*rows, row_of("part", 0.95), failed("part", 1)]).splitlines()[2:]
        assert [line.split("`")[1] for line in lines] == ["first", "second", "part", "lost"]
        assert "**0.800" in lines[0]
        assert "**" not in lines[2]

    def test_undefined_metrics(self):
        from accuracy_tables import set_table

        table = set_table([row_of("one", 0.5, roc_auc=None, roc_auc_low=None, roc_auc_high=None, mcc_low=None)])
        assert [cell.strip() for cell in table.splitlines()[2].split("|")][2] == "**0.500**"
        assert [cell.strip() for cell in table.splitlines()[2].split("|")][6] == "-"

    def test_it_is_said_what_the_figures_are_of(self, rows):
        from accuracy_tables import judged_on

        assert judged_on(rows) == "Judged on 20 test records."
        assert "(the set has no test split)" in judged_on([row_of("one", 0.5, split="val")])
        assert "(--judge val)" in judged_on([row_of("one", 0.5, split="val", judge="val")])


class TestWhatMustBeSaidOfASet:
    def test_it_stands_wherever_a_figure_of_the_set_does(self, rows):
        from accuracy_tables import card_text, write_markdown

        told = "virus_sarscov2_clade: its genomes are reconstructed"
        both = [*rows, row_of("first", 0.9, name="virus_sarscov2_clade")]
        assert told in card_text(both, "first")
        assert told not in card_text(both, "second")
        sections = write_markdown(both).split("\n### ")
        assert [told in section for section in sections] == [True, False, False, False, True]

    def test_of_others_there_is_nothing_to_say(self):
        from set_notes import notes_on

        assert notes_on(["mito", "gue_tf_3"]) == ""


class TestAllSets:
    def test_a_row_a_set_and_a_column_a_model(self, rows):
        from accuracy_tables import wide_table

        others = [row_of("second", 0.25, name="tf"), row_of("second", 0.3, name="rna")]
        lines = wide_table([*rows, *others], "mcc").splitlines()
        assert lines[0] == "| set | `second` | `lost` | `first` |"
        assert lines[2] == "| mito | 0.500 | - (1 of 1 failed) | **0.800 ± 0.141** |"
        assert lines[3] == "| tf | **0.250** | - | - |"

    def test_of_many_models_each_is_a_row_in_the_order_of_its_mean_rank(self, rows):
        from accuracy_tables import wide_table

        others = [row_of("second", 0.25, name="tf"), row_of("first", 0.2, name="tf"), failed("lost", name="tf")]
        lines = wide_table([*rows, *others], "mcc").splitlines()
        assert lines[0] == "| model | mito | tf | mean rank |"
        assert lines[2:5] == [
            "| `second` | 0.500 | **0.250** | 1.5 |",
            "| `first` | **0.800 ± 0.141** | 0.200 | 1.5 |",
            "| `lost` | - (1 of 1 failed) | - (1 of 1 failed) | 3.0 |",
        ]
        first, second = wide_table([*rows, *others], "log_loss").splitlines()[2:4]
        assert first == "| `second` | 0.500 | **0.750** | 1.5 |"
        assert second == "| `first` | **0.200 ± 0.141** | 0.800 | 1.5 |"

    def test_ranks_are_over_the_sets_that_all_were_run_on(self):
        """One that was run alone on a set, or on the easy one alone, is not before those that were run on all."""
        from accuracy_tables import wide_table

        everywhere = [row_of(f"m{i}", 0.5 + i / 10, name=name) for i in range(3) for name in ("mito", "tf")]
        table = wide_table([*everywhere, row_of("once", 0.55), row_of("m0", 0.1, name="rna")], "mcc")
        lines = table.splitlines()
        assert lines[0] == "| model | mito | tf | rna | mean rank |"
        assert lines[2:6] == [
            "| `m2` | **0.700** | **0.700** | - | 1.0 |",
            "| `m1` | 0.600 | 0.600 | - | 2.0 |",
            "| `once` | 0.550 | - | - | 3.0 |",
            "| `m0` | 0.500 | 0.500 | **0.100** | 4.0 |",
        ]
        assert lines[6:] == ["", "The mean rank is over mito: not all models were run on tf, rna."]
        assert wide_table(everywhere, "mcc").splitlines()[-1] == "| `m0` | 0.500 | 0.500 | 3.0 |"

    def test_without_a_set_that_all_were_run_on_there_are_no_ranks(self):
        from accuracy_tables import wide_table

        rows = [row_of("one", 0.3), row_of("two", 0.4, name="tf"), row_of("three", 0.5, name="tf")]
        lines = wide_table(rows, "mcc").splitlines()
        assert lines[2:5] == [
            "| `one` | **0.300** | - | - |",
            "| `two` | - | 0.400 | - |",
            "| `three` | - | **0.500** | - |",
        ]
        assert lines[6:] == ["There is no mean rank: no set is one that all models were run on."]

    @pytest.mark.parametrize("metric", ["mcc", "log_loss"])
    def test_one_of_which_a_seed_failed_is_marked_behind_and_never_the_best(self, rows, metric):
        from accuracy_tables import wide_table

        part = [row_of("part", 0.95), failed("part", 1)]
        value, best = ("0.950", "**0.800 ± 0.141**") if metric == "mcc" else ("0.050", "**0.200 ± 0.141**")
        lines = wide_table([*part, *rows], metric).splitlines()
        assert lines[2] == f"| `first` | {best} | 1.0 |"
        assert lines[3].startswith("| `second` |")
        assert lines[4:6] == [f"| `part` | {value} (1 of 2 failed) | 3.5 |", "| `lost` | - (1 of 1 failed) | 3.5 |"]
        assert lines[7].startswith("Where runs failed")
        sets = [row_of("part", 0.3, name=name) for name in ("tf", "rna", "a", "b")]
        lines = wide_table([*part, *rows, *sets], metric).splitlines()
        assert f"| mito | {value} (1 of 2 failed) | 0.500 | - (1 of 1 failed) | {best} |" in lines
        assert lines[-1].startswith("Where runs failed")

    def test_the_same_from_a_file(self, rows, tmp_path):
        from accuracy_tables import write_markdown
        from measured import read_tsv, write_tsv

        write_tsv(tmp_path / "rows.tsv", rows)
        assert write_markdown(read_tsv(tmp_path / "rows.tsv")) == write_markdown(rows)


class TestDocuments:
    @pytest.fixture
    def root(self, tmp_path, monkeypatch):
        import write_cards

        monkeypatch.setattr(write_cards, "ROOT", tmp_path)
        for name in ("docs", "models/first", "models/second", "models/other"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "docs" / "accuracy.md").write_text("before\n<!-- accuracy -->\nold\n<!-- /accuracy -->\nbehind\n")
        (tmp_path / "models/first/README.md").write_text("# first\n\n<!-- measured -->\nkept\n<!-- /measured -->\n")
        (tmp_path / "models/second/README.md").write_text("# second\n<!-- accuracy -->\n<!-- /accuracy -->\nbehind\n")
        (tmp_path / "models/other/README.md").write_text("# other\n")
        return tmp_path

    def test_the_page_keeps_what_is_around_its_marks(self, root, rows):
        from write_cards import write_accuracy_page

        write_accuracy_page(rows, "accuracy")
        text = (root / "docs" / "accuracy.md").read_text()
        assert text.startswith("before\n<!-- accuracy -->\n")
        assert text.endswith("<!-- /accuracy -->\nbehind\n")
        assert "\nold\n" not in text
        assert "0.800" in text

    def test_cards_have_their_own_rows_once(self, root, rows):
        from write_cards import write_accuracy_cards

        for _ in range(2):
            write_accuracy_cards(rows, "accuracy")
        first, second = ((root / f"models/{name}/README.md").read_text() for name in ("first", "second"))
        assert first.count("0.800 [0.700, 1.000] ± 0.141") == 5
        assert first.startswith("# first\n\n<!-- measured -->\nkept\n<!-- /measured -->\n\n## Accuracy")
        assert "0.800" not in second
        assert second.count("0.500") == 6
        assert second.endswith("<!-- /accuracy -->\nbehind\n")
        assert (root / "models/other/README.md").read_text() == "# other\n"

    def test_parts_stand_beside_each_other(self, root, rows):
        from write_cards import write_accuracy_cards

        for part in ("encoders", "accuracy", "encoders"):
            write_accuracy_cards(rows, part)
        text = (root / "models/first/README.md").read_text()
        assert text.count("0.800 [0.700, 1.000] ± 0.141") == 10
        assert text.index("## The network alone, in equal time") < text.index(
            "## Accuracy on sets with official splits"
        )

    def test_results_of_other_kinds_are_no_comparisons(self):
        from write_cards import read_comparisons

        assert {"promoters", "dengue"} <= {word for one in read_comparisons() for word in one["title"].split()}
