from bench.quality.finders import First, firsts_of, table_of
from bench.quality.methods import Accusation, Said
from bench.quality.truth import AttackerTruth, Truth

PLAIN = AttackerTruth("zoo.plain", "evasion", "zoo", "plain", "", ("zoo.plain",), (10.0, 20.0, 30.0, 40.0))
SLOWED = AttackerTruth("zoo.slowed", "evasion", "zoo", "slowed", "", ("zoo.slowed",), (10.0, 90.0))
UNSEEN = AttackerTruth("mixup.plain", "extraction", "mixup", "plain", "", ("mixup.plain",), (1.0,))
TRUTH = Truth((PLAIN, SLOWED, UNSEEN), {"h-1": "camera"}, 0.5)


def test_the_first_finding_by_each_detector_of_attackers_who_hide_nothing() -> None:
    said = [
        Accusation(40.0, ("zoo.plain",), False, "near"),
        Accusation(30.0, ("zoo.plain",), False, "floor"),
        Accusation(20.0, ("zoo.plain",), False, "near"),
        Accusation(10.0, ("zoo.plain", "zoo.slowed"), True, "groups"),
        Accusation(10.0, ("zoo.slowed",), False, "near"),
        Accusation(10.0, ("h-1",), False, "near"),
    ]
    assert firsts_of("tumours", TRUTH, Said("Vedette", said, 5.0)) == [
        First("tumours", "zoo", "near", 2),
        First("tumours", "zoo", "floor", 3),
        First("tumours", "mixup", "", 0),
    ]


def test_those_that_find_it_in_most_seeds_are_named_the_first_first() -> None:
    found = [First("tumours", "zoo", by, n) for by, n in (("a", 9), ("a", 7), ("b", 3), ("b", 4), ("c", 1), ("d", 50))]
    found += [First("tumours", "mixup", "", 0), First("tumours", "mixup", "a", 5), First("claims", "zoo", "", 0)]
    assert table_of(found, 2).rows == [
        ("mixup", "**`a` 5 (1 of 2)**", "-"),
        ("zoo", "`c` 1 (1 of 2), `b` 3.5, `a` 8", "not found"),
    ]
