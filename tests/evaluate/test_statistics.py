import math

import pytest

from homeroom.evaluate.statistics import difference, mcnemar, mean, rate, wilson


@pytest.mark.parametrize(
    ("right", "n", "interval"),
    [  # Newcombe 1998, table I, method 3; and the rule of three's neighbourhood
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_wilson_gives_published_intervals(right, n, interval):
    assert wilson(right, n) == pytest.approx(interval, abs=1e-4)


@pytest.mark.parametrize(("gained", "lost"), [(9, 1), (1, 9), (12, 5), (0, 0), (3, 3), (40, 2), (1500, 1400)])
def test_mcnemar_is_the_binomial_test_with_a_half(gained, lost):
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    assert mcnemar(gained, lost) == pytest.approx(min(1.0, float(2 * tail / 2**n)), abs=1e-6)


def test_mcnemar_gives_a_known_value():
    assert mcnemar(21, 9) == pytest.approx(0.0428, abs=1e-4)  # binom.test(9, 30) in R: p-value = 0.04277


def test_the_difference_counts_what_was_gained_and_lost():
    found = difference([True, True, False, False], [True, False, True, True])
    assert (found.n, found.difference, found.gained, found.lost) == (4, 0.25, 2, 1)
    assert found.ci95[0] <= 0.25 <= found.ci95[1]


def test_the_interval_is_close_to_the_normal_one_on_many_questions():
    before = [False] * 300 + [True] * 100
    after = [True] * 120 + [False] * 180 + [True] * 80 + [False] * 20
    found = difference(before, after)
    mean = 100 / 400
    half = 1.96 * math.sqrt((140 / 400 - mean**2) / 400)
    assert found.ci95 == pytest.approx((mean - half, mean + half), abs=0.01)


def test_the_same_seed_gives_the_same_interval_and_another_a_near_one():
    before, after = [False] * 30, [True] * 17 + [False] * 13
    first = difference(before, after, seed=1)
    assert first == difference(before, after, seed=1)
    assert first.ci95 == pytest.approx(difference(before, after, seed=2).ci95, abs=0.04)


def test_questions_on_one_source_count_as_less_evidence():
    before, after = [False] * 120, sorted([True, False] * 60)
    apart = difference(before, after)
    together = difference(before, after, sources=[str(i // 10) for i in range(120)])
    assert together.ci95[1] - together.ci95[0] > 1.5 * (apart.ci95[1] - apart.ci95[0])
    assert together.difference == apart.difference


def test_questions_without_a_source_are_sources_of_their_own():
    before, after = [False] * 40, [True, False] * 20
    assert difference(before, after, sources=[""] * 40) == difference(before, after)


def test_an_exam_on_one_document_is_not_one_piece_of_evidence():
    before, after = [False] * 40, [True, False] * 20
    assert difference(before, after, sources=["handbook.md"] * 40) == difference(before, after)


def test_one_question_or_none_tells_nothing():
    assert difference([False], [True], sources=["a"]).ci95 == (-1.0, 1.0)
    assert difference([], []).ci95 == (-1.0, 1.0)
    assert difference([], []).difference == 0.0


def test_where_every_question_went_alike_the_interval_is_what_other_questions_might_have_shown():
    assert difference([True] * 20, [True] * 20).ci95 == (-0.1611, 0.1611)
    assert difference([False] * 20, [True] * 20).ci95 == (0.8389, 1.0)
    assert mean([0.5] * 20).ci95 == (0.5, 0.5)


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="same questions"):
        difference([True], [True, False])


def test_a_rate_of_nothing_is_zero_and_says_that_nothing_is_known():
    assert (rate([]).accuracy, rate([]).ci95) == (0.0, (0.0, 1.0))
    assert rate([True, False]).correct == 1
