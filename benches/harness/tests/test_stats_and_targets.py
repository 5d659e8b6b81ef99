"""Summary statistics, units and targets."""

from __future__ import annotations

import pytest

import units
from stats import Quartiles, quantile
from targets import AtMost, Linear, OfRow, Ratio


def test_a_quantile_is_interpolated_between_values():
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([7], 0.99) == 7
    assert quantile(range(101), 0.99) == 99
    assert Quartiles.of([5, 1, 3]) == Quartiles(2, 3, 4)


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        (units.MICROSECONDS, 0.000_012_34, "12.3 µs"),
        (units.MILLISECONDS, 0.001_234, "1.23 ms"),
        (units.MEGABYTES_PER_SECOND, 2_345_678_901, "2,346 MB/s"),
        (units.MEBIBYTES, 2**20, "1 MiB"),
        (units.NUMBER, 1007, "1,007"),
    ],
)
def test_a_value_is_formatted_with_three_digits_and_its_unit(unit, value, expected):
    assert unit.text(value) == expected


def medians(found):
    return lambda row, column: found.get((row, column))


def test_a_ratio_compares_the_medians_of_two_subjects():
    found = medians({("a", "eryx"): 3.0, ("a", "pyeryx"): 10.0})
    for target, met in [
        (Ratio("pyeryx", at_most=0.3), True),
        (Ratio("pyeryx", at_most=0.29), False),
        (Ratio("pyeryx", at_least=0.3), True),
        (Ratio("pyeryx", at_least=0.31), False),
        (Ratio("native", at_most=9), None),
    ]:
        assert target.evaluate("a", units.SECONDS, found).met is met


def test_a_row_is_compared_with_the_same_row_without_inspection():
    found = medians({("base", "eryx"): 10.0, ("a", "eryx"): 11.0})
    for target, met in [
        (OfRow("base", "uninspected", at_most=1.1), True),
        (OfRow("base", "uninspected", at_most=1.09), False),
        (OfRow("base", "uninspected", at_least=1.1), True),
        (OfRow("base", "uninspected", at_least=1.11), False),
        (OfRow("other", "uninspected", at_most=1.1), None),
    ]:
        assert target.evaluate("a", units.SECONDS, found).met is met
    verdict = OfRow("base", "uninspected", at_most=1.1).evaluate("a", units.SECONDS, found)
    assert str(verdict) == "≤ 1.10 × uninspected: met"


def test_an_upper_bound_is_formatted_in_the_unit_of_its_row():
    verdict = AtMost(0.2).evaluate("a", units.MILLISECONDS, medians({("a", "eryx"): 0.21}))
    assert str(verdict) == "≤ 200 ms: **missed**"
    assert AtMost(0.2).evaluate("a", units.MILLISECONDS, medians({})).met is None


def test_linear_scaling_is_met_from_ninety_percent_on():
    for rate, met in [(18, True), (17.9, False)]:
        found = medians({("one", "eryx"): 10.0, ("two", "eryx"): rate})
        assert Linear("one", 2).evaluate("two", units.PER_SECOND, found).met is met
