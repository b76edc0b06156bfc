"""Each fault that can be planted in clean data is found, by the check that is for it and by no other."""

import numpy as np
import pytest
from made import make_clean, mutated, random_dna, reverse_complement

ADAPTER = "AGATCGGAAGAGCACACGTCTGAACTCCAGTCA"
RICH = [0.13, 0.37, 0.37, 0.13]


def raised(found):
    """The checks that did not pass."""
    return {name: check.status for name, check in found.items() if check.status != "PASS"}


class TestAcrossSplits:
    """10 of 48 test records come from training records."""

    @pytest.fixture
    def made(self):
        return make_clean(seed=1)

    def plant(self, made, change, num=10):
        """Replace test records by training records of the same class after a change."""
        for test, train in list(zip(made.places("test"), made.places("train"), strict=False))[:num]:
            made.labels[test] = made.labels[train]
            made.sequences[test] = change(made.sequences[train])
        return made

    def test_exact_duplicates(self, made, checked):
        found = checked(self.plant(made, str))
        assert raised(found) == {"duplicates": "FAIL", "near_duplicates": "FAIL"}
        assert found["duplicates"].figures["across"] == {"val": 0, "test": 10}
        assert found["duplicates"].figures["num_reversed_across"] == 0
        assert "10 of 48 test records (21 %) stand in a split used before" in found["duplicates"].sentence
        pair = found["duplicates"].figures["examples_across"][0]
        assert made.sequences[int(pair["id"][1:])] == made.sequences[int(pair["copy_of"][1:])]

    def test_reverse_complements(self, made, checked):
        found = checked(self.plant(made, reverse_complement))
        assert raised(found) == {"duplicates": "FAIL", "near_duplicates": "FAIL"}
        assert found["duplicates"].figures["num_reversed_across"] == 10
        assert "10 as the reverse complement" in found["duplicates"].sentence

    def test_95_percent_identical(self, made, checked):
        rng = np.random.default_rng(102)
        found = checked(self.plant(made, lambda sequence: mutated(rng, sequence, 0.95)))
        assert raised(found) == {"near_duplicates": "FAIL"}
        figures = found["near_duplicates"].figures
        assert figures["counts"] == {"val": 0, "test": 10}
        assert figures["num_contained"] == 0
        for example in figures["examples"]:
            test, train = int(example["id"][1:]), int(example["nearest"][1:])
            assert (made.splits[test], made.splits[train]) == ("test", "train")
            assert 0.92 < example["similarity"] < 0.98

    def test_contained(self, made, checked):
        found = checked(self.plant(made, lambda sequence: reverse_complement(sequence[60:220])))
        assert raised(found)["near_duplicates"] == "FAIL"
        assert "duplicates" not in raised(found)
        assert found["near_duplicates"].figures["num_contained"] == 10
        assert "10 of them contained in it or containing it" in found["near_duplicates"].sentence

    def test_one_copy_among_many_is_a_warning(self, checked):
        made = make_clean(seed=1, num_records=1200, lengths=(60, 80))
        made = self.plant(made, str, num=2)
        assert raised(checked(made)) == {"duplicates": "WARN", "near_duplicates": "WARN"}

    def test_copies_between_val_and_test(self, made, checked):
        for test, val in list(zip(made.places("test"), made.places("val"), strict=True))[:3]:
            made.sequences[test], made.labels[test] = made.sequences[val], made.labels[val]
        found = checked(made)
        assert raised(found) == {"duplicates": "FAIL"}
        assert found["duplicates"].figures["across"] == {"val": 0, "test": 3}

    def test_groups_in_several_splits(self, made, checked):
        made.groups[:] = [f"g{place}" for place in range(len(made.labels))]
        for test, train in list(zip(made.places("test"), made.places("train"), strict=False))[:5]:
            made.groups[test] = made.groups[train]
        found = checked(made)
        assert raised(found) == {"groups": "FAIL"}
        assert "5 of 235 groups (2.1 %) have records in more than one split" in found["groups"].sentence
        assert found["groups"].figures["across"] == {"val": 0, "test": 5}


class TestUndivided:
    def test_relatives_leak_in_a_random_split(self, checked):
        made, rng = make_clean(seed=3), np.random.default_rng(103)
        for place in range(0, 40, 4):
            made.sequences[place + 2] = mutated(rng, made.sequences[place], 0.95)
        found = checked(made, with_splits=False)
        assert raised(found) == {"near_duplicates": "WARN"}
        assert found["near_duplicates"].figures["num_related"] == 20
        assert "use --split similarity" in found["near_duplicates"].sentence

    def test_one_family_cannot_be_split_by_similarity(self, checked):
        made, rng = make_clean(seed=3, num_records=100), np.random.default_rng(103)
        made.sequences[:] = [mutated(rng, made.sequences[0], 0.97) for _ in made.sequences]
        found = checked(made, with_splits=False)
        assert found["near_duplicates"].status == "WARN"
        assert "100 of them in one cluster" in found["near_duplicates"].sentence

    def test_copies(self, checked):
        made = make_clean(seed=4)
        made.sequences[2], made.sequences[4] = made.sequences[0], reverse_complement(made.sequences[0])
        made.sequences[6] = made.sequences[8]
        found = checked(made, with_splits=False)
        assert raised(found) == {"duplicates": "WARN", "near_duplicates": "WARN"}
        assert found["duplicates"].figures["num_copies"] == 3
        assert found["duplicates"].figures["num_reversed"] == 1


class TestNoKnownBase:
    """Records of N alone are reported as such, not as copies of each other, nor as wrongly labelled."""

    @pytest.mark.parametrize("with_splits", [True, False])
    def test_records_of_n_alone(self, checked, with_splits):
        made = make_clean(seed=4)
        for place in range(12):
            made.sequences[place] = "N" * 300
        found = checked(made, with_splits=with_splits)
        assert raised(found) == {"unknown": "WARN"}
        assert found["unknown"].figures["num_empty"] == 12
        assert found["duplicates"].figures["num_copies"] == 0
        assert found["conflicts"].figures["num_identical"] == 0

    def test_copies_with_some_n_are_copies(self, checked):
        made = make_clean(seed=4, num_records=1200, lengths=(60, 80))
        made.sequences[2] = made.sequences[0] = made.sequences[0] + "N" * 5
        assert checked(made, with_splits=False)["duplicates"].figures["num_copies"] == 1


class TestConflicts:
    def test_swapped_labels_of_duplicates(self, checked):
        made = make_clean(seed=5)
        for place in (0, 20):
            made.sequences[place + 1] = made.sequences[place]
        found = checked(made)
        assert raised(found) == {"conflicts": "FAIL"}
        assert found["conflicts"].figures["identical_ids"] == ["r0", "r1", "r20", "r21"]
        assert found["conflicts"].figures["num_near_identical"] == 0
        assert "4 of 240 records (1.7 %) have the bases of a record with another label" in found["conflicts"].sentence

    def test_one_of_many_is_a_warning(self, checked):
        made = make_clean(seed=5, num_records=1200, lengths=(60, 80))
        made.sequences[1] = made.sequences[0]
        assert raised(checked(made)) == {"conflicts": "WARN"}

    def test_all_of_many_are_counted(self, checked):
        made = make_clean(seed=5)
        for place in range(0, 40, 2):
            made.sequences[place + 1] = made.sequences[place]
        check = checked(made)["conflicts"]
        assert len(check.figures["identical_ids"]) == 10
        assert '("r0", "r1", "r2" and 37 more)' in check.sentence

    def test_on_the_other_strand(self, checked):
        made = make_clean(seed=5)
        for place in (0, 20):
            made.sequences[place + 1] = reverse_complement(made.sequences[place])
        found = checked(made)
        assert raised(found) == {"conflicts": "WARN"}
        assert found["conflicts"].figures["num_reverse_complements"] == 4
        assert "--strands forward" in found["conflicts"].sentence

    def test_near_identical(self, checked):
        made, rng = make_clean(seed=5), np.random.default_rng(105)
        for place in (0, 20):
            made.sequences[place + 1] = mutated(rng, made.sequences[place], 0.997)
        found = checked(made)
        assert raised(found) == {"conflicts": "WARN"}
        assert found["conflicts"].figures["near_identical_ids"] == ["r0", "r1", "r20", "r21"]


class TestShortcuts:
    def of_class(self, made, label, change):
        made.sequences[:] = [
            change(sequence) if own == label else sequence
            for sequence, own in zip(made.sequences, made.labels, strict=True)
        ]
        return made

    def test_a_class_with_longer_records(self, checked):
        made, rng = make_clean(seed=6), np.random.default_rng(106)
        found = checked(self.of_class(made, "a", lambda sequence: sequence + random_dna(rng, 250)))
        assert raised(found) == {"length_shortcut": "FAIL"}
        assert found["length_shortcut"].figures["low"] > 0.95

    def test_a_class_of_one_length_only(self, checked):
        """The relation neither rises nor falls: the other class is shorter and longer."""
        made = self.of_class(make_clean(seed=6), "a", lambda sequence: (sequence + sequence)[:400])
        assert raised(checked(made))["length_shortcut"] == "FAIL"

    def test_a_class_often_longer(self, checked):
        made, rng = make_clean(seed=6), np.random.default_rng(106)
        found = checked(self.of_class(made, "a", lambda sequence: sequence + random_dna(rng, 100)))
        assert raised(found) == {"length_shortcut": "WARN"}

    def test_an_adapter_at_the_start(self, checked):
        found = checked(self.of_class(make_clean(seed=7), "b", lambda sequence: ADAPTER + sequence[len(ADAPTER) :]))
        assert raised(found) == {"start_shortcut": "FAIL"}
        sentence = found["start_shortcut"].sentence
        assert 'AGATCGGA stands there in 100 % of "b" and in 0 % of the others' in sentence

    def test_an_adapter_at_the_end(self, checked):
        found = checked(self.of_class(make_clean(seed=7), "b", lambda sequence: sequence[: -len(ADAPTER)] + ADAPTER))
        assert raised(found) == {"end_shortcut": "FAIL"}
        assert found["end_shortcut"].figures["motif"]["letters"] == ADAPTER[-8:]

    def test_an_adapter_in_one_of_many_classes(self, checked):
        made = make_clean(seed=7, num_records=600, classes=tuple("abcdefghij"))
        found = checked(self.of_class(made, "c", lambda sequence: ADAPTER + sequence[len(ADAPTER) :]))
        assert raised(found) == {"start_shortcut": "FAIL"}
        assert found["start_shortcut"].figures["roc_auc"] < 0.65
        assert '"c" told best with 1.00' in found["start_shortcut"].sentence
        assert 'AGATCGGA stands there in 100 % of "c"' in found["start_shortcut"].sentence

    @pytest.mark.parametrize(("share", "status"), [(1, "FAIL"), (0.85, "WARN"), (0.5, None)])
    def test_one_of_many_classes_is_longer(self, checked, share, status):
        made, rng = make_clean(seed=7, num_records=600, classes=tuple("abcdefghij")), np.random.default_rng(107)

        def lengthen(sequence):
            return sequence + random_dna(rng, 250) if rng.random() < share else sequence

        found = checked(self.of_class(made, "c", lengthen))
        assert raised(found) == ({"length_shortcut": status} if status else {})
        assert found["length_shortcut"].figures["low"] < 0.65
        assert '"c" told best' in found["length_shortcut"].sentence

    @pytest.mark.parametrize(("adapter", "status"), [("", "PASS"), (ADAPTER, "WARN")])
    def test_one_of_many_classes_is_of_another_composition(self, checked, adapter, status):
        made, rng = make_clean(seed=7, num_records=600, classes=tuple("abcdefghij")), np.random.default_rng(108)

        def change(sequence):
            return adapter + "".join(rng.choice(list("ACGT"), size=len(sequence) - len(adapter), p=RICH))

        check = checked(self.of_class(made, "c", change))["start_shortcut"]
        assert check.status == status
        assert check.figures["by_class"]["c"] > 0.9
        assert ("hardly better than those 100 bp further in" in check.sentence) == (status == "PASS")

    def test_a_class_with_more_unknown_bases(self, checked):
        def with_unknown(sequence):
            return sequence[:100] + "N" * 10 + sequence[110:]

        found = checked(self.of_class(make_clean(seed=8), "a", with_unknown))
        assert raised(found) == {"unknown_shortcut": "FAIL"}

    def test_composition_is_no_artefact_of_the_ends(self, checked):
        """A class rich in G and C is told by its composition, which is a warning at most, wherever one looks."""
        made, rng = make_clean(seed=9), np.random.default_rng(109)
        rich = [0.1, 0.4, 0.4, 0.1]
        made = self.of_class(made, "a", lambda sequence: "".join(rng.choice(list("ACGT"), size=len(sequence), p=rich)))
        found = checked(made)
        assert raised(found) == {"gc_shortcut": "WARN", "dinucleotide_shortcut": "WARN"}
        assert found["start_shortcut"].figures["low"] > 0.65
        assert "hardly better than those 100 bp further in" in found["start_shortcut"].sentence

    def test_an_adapter_beside_a_difference_in_composition(self, checked):
        """It is warned of; that something else tells the classes too keeps it from failing."""
        made, rng = make_clean(seed=9), np.random.default_rng(109)
        rich = [0.18, 0.32, 0.32, 0.18]

        def change(sequence):
            return ADAPTER + "".join(rng.choice(list("ACGT"), size=len(sequence) - len(ADAPTER), p=rich))

        check = checked(self.of_class(made, "a", change))["start_shortcut"]
        assert check.status == "WARN"
        assert check.figures["low"] > 0.9
        assert check.figures["further_roc_auc"] > 0.65
