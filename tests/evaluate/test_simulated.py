"""Statistics against simulated exams whose truth is known: what intervals cover, what verdict and counts promise."""

import numpy
import pytest

from homeroom.core.types import Question, Score
from homeroom.evaluate.report import Outcome, make_report
from homeroom.evaluate.statistics import difference, mcnemar, mean, needed, rate

EXAMS = 400  # simulated; two standard errors of a coverage of 95 % are 2.2 points


def exam(random, sources, questions, gain, loss, likeness):
    """Changes and sources of one exam: each source has its own chances, more so the greater the likeness."""
    changes, names = [], []
    for source in range(sources):
        chances = (gain, loss, 1 - gain - loss)
        if likeness:
            chances = random.dirichlet([max(c * (1 - likeness) / likeness, 1e-9) for c in chances])
        drawn = random.choice([1, -1, 0], size=1 + random.poisson(questions - 1), p=chances)
        changes += drawn.tolist()
        names += [str(source)] * len(drawn)
    return changes, names


@pytest.mark.parametrize(
    ("sources", "questions", "gain", "loss", "likeness"),
    [
        (40, 1, 0.3, 0.05, 0),
        (100, 1, 0.03, 0.02, 0),
        (62, 2, 0.5, 0.05, 0.2),  # the shape of the shipped insurance exam
        (30, 4, 0.2, 0.1, 0.3),
        (10, 8, 0.5, 0.1, 0.5),  # few sources, each all right or all wrong: a plain bootstrap covers 90 %
    ],
)
def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says(sources, questions, gain, loss, likeness):
    random = numpy.random.default_rng(7)
    covered = 0
    for number in range(EXAMS):
        changes, names = exam(random, sources, questions, gain, loss, likeness)
        found = difference(
            [c == -1 for c in changes], [c == 1 for c in changes], sources=names, resamples=500, seed=number
        )
        covered += found.ci95[0] - 1e-4 <= gain - loss <= found.ci95[1] + 1e-4
    assert 0.92 <= covered / EXAMS <= 0.98


@pytest.mark.parametrize(("n", "share"), [(10, 0.5), (40, 0.05), (96, 0.65), (120, 0.98)])
def test_the_interval_of_a_rate_covers_the_truth_as_often_as_it_says(n, share):
    drawn = numpy.random.default_rng(3).binomial(n, share, size=EXAMS)
    covered = sum(
        rate([True] * int(k) + [False] * (n - int(k))).ci95[0]
        <= share
        <= rate([True] * int(k) + [False] * (n - int(k))).ci95[1]
        for k in drawn
    )
    assert 0.92 <= covered / EXAMS <= 0.995


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    random = numpy.random.default_rng(5)
    covered = 0
    for number in range(EXAMS):
        of_source = random.normal(0.3, 0.5, size=25)
        values = [v for centre in of_source for v in random.normal(centre, 1.0, size=3)]
        found = mean(values, sources=[str(i // 3) for i in range(75)], resamples=500, seed=number)
        covered += found.ci95[0] <= 0.3 <= found.ci95[1]
    assert 0.92 <= covered / EXAMS <= 0.98


def outcomes(changes):
    return [
        Outcome(
            question=Question(id=str(n), question="?", source=f"s{n}"),
            before=Score(question=str(n), answer="", correct=change == -1),
            after=Score(question=str(n), answer="", correct=change == 1),
        )
        for n, change in enumerate(changes)
    ]


def test_where_nothing_changed_the_verdict_is_better_or_worse_once_in_twenty_times_at_most():
    random = numpy.random.default_rng(11)
    verdicts = [
        make_report(base={}, tuned={}, final=outcomes(random.choice([1, -1, 0], size=60, p=[0.2, 0.2, 0.6]).tolist()))
        for _ in range(60)
    ]
    assert sum(found["verdict"] != "no evidence" for found in verdicts) <= 0.05 * 60 + 3


@pytest.mark.parametrize(("gain", "loss"), [(0.05, 0.0), (0.15, 0.10), (0.30, 0.25)])
def test_as_many_questions_as_are_said_to_be_needed_show_5_points_four_times_in_five(gain, loss):
    random = numpy.random.default_rng(13)
    pilot = random.choice([1, -1, 0], size=4000, p=[gain, loss, 1 - gain - loss]).tolist()
    n = needed(pilot)
    shown = 0
    for _ in range(EXAMS):
        drawn = random.multinomial(n, [gain, loss, 1 - gain - loss])
        shown += mcnemar(int(drawn[0]), int(drawn[1])) < 0.05
    assert 0.7 <= shown / EXAMS <= 0.95


def test_no_evidence_says_how_many_questions_would_show_5_points():
    found = make_report(base={}, tuned={}, final=outcomes([1, -1, 0, 0] * 10))
    assert found["verdict"] == "no evidence"
    assert found["closed_book"]["difference"]["needed"] == 1570
    assert "About 1,570 questions like these" in found["why"]
