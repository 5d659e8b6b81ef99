from __future__ import annotations

import pytest

import units
from figures import Spread, quantile
from targets import AtMost, Linear, Ratio


def test_a_quantile_falls_between_figures():
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([7], 0.99) == 7
    assert quantile(range(101), 0.99) == 99
    assert Spread.of([5, 1, 3]) == Spread(2, 3, 4)


@pytest.mark.parametrize(
    ("unit", "figure", "shown"),
    [
        (units.MICROSECONDS, 0.000_012_34, "12.3 µs"),
        (units.MILLISECONDS, 0.001_234, "1.23 ms"),
        (units.MEGABYTES_PER_SECOND, 2_345_678_901, "2,346 MB/s"),
        (units.MEBIBYTES, 2**20, "1 MiB"),
        (units.NUMBER, 1007, "1,007"),
    ],
)
def test_a_figure_is_shown_with_three_digits_and_its_unit(unit, figure, shown):
    assert unit.text(figure) == shown


def medians(found):
    return lambda row, column: found.get((row, column))


def test_a_ratio_is_judged_by_the_medians_of_two_columns():
    found = medians({("a", "eryx"): 3.0, ("a", "peer"): 10.0})
    for target, met in [
        (Ratio("peer", at_most=0.3), True),
        (Ratio("peer", at_most=0.29), False),
        (Ratio("peer", at_least=0.3), True),
        (Ratio("peer", at_least=0.31), False),
        (Ratio("native", at_most=9), None),
    ]:
        assert target.judge("a", units.SECONDS, found).met is met


def test_a_figure_by_itself_is_judged_in_its_own_unit():
    verdict = AtMost(0.2).judge("a", units.MILLISECONDS, medians({("a", "eryx"): 0.21}))
    assert str(verdict) == "≤ 200 ms: **missed**"
    assert AtMost(0.2).judge("a", units.MILLISECONDS, medians({})).met is None


def test_growth_with_workers_may_lack_a_tenth():
    for rate, met in [(18, True), (17.9, False)]:
        found = medians({("one", "eryx"): 10.0, ("two", "eryx"): rate})
        assert Linear("one", 2).judge("two", units.PER_SECOND, found).met is met
