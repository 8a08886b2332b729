"""Log levels: names in any case, OpenTelemetry numbers, and what is neither."""

import pytest

from flightlog_schemas.levels import NAMES, level_name, level_number


@pytest.mark.covers("S1.1")
@pytest.mark.parametrize(
    ("level", "number"),
    [
        ("DEBUG", 5),
        ("info", 9),
        ("Warn", 13),
        ("warning", 13),
        ("ERROR", 17),
        ("err", 17),
        ("critical", 21),
        ("fatal", 21),
        ("trace", 1),
        ("notice", 10),
        (1, 1),
        (24, 24),
        ("14", 14),
        ("07", 7),
    ],
)
def test_what_is_a_level(level: object, number: int) -> None:
    """A level is a name in any case or a number from 1 to 24, also written as text."""
    assert level_number(level) == number


@pytest.mark.covers("S1.1")
@pytest.mark.parametrize(
    "level",
    ["", "loud", "0", "25", "-1", "1.5", "٣", "³", "007", 0, 25, -1, 9.0, True, None, [], {"level": 9}],
)
def test_what_is_no_level(level: object) -> None:
    """Anything else is no level, and says so without an error."""
    assert level_number(level) is None


def test_every_number_has_a_name() -> None:
    """The 24 numbers fall into six ranges of four, each with a name that leads back to its first number."""
    names = [level_name(number) for number in range(1, 25)]

    assert names == [name for name in NAMES for _ in range(4)]
    assert [level_number(name) for name in NAMES] == [1, 5, 9, 13, 17, 21]
