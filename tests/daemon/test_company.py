"""Which sources a commit waits for. Pure."""

from types import SimpleNamespace
from typing import cast

from flightlogd.company import PATIENCE_S, Company, is_strange
from flightlogd.peer import Peer
from flightlogd.submission import Source

A, B = cast(Source, "a"), cast(Source, "b")  # only who it is matters here


def test_nobody_waits_for_company_that_never_was() -> None:
    """The first commit, and those of a single source, go at once."""
    company = Company()
    for _ in range(5):
        assert company.patience_s([A]) == 0
        company.committed([A], in_vain=False)


def test_a_commit_waits_for_those_of_the_last_two() -> None:
    """Sources that took turns are waited for, and once all are there nothing is waited for."""
    company = Company()
    company.committed([A], in_vain=False)
    company.committed([B], in_vain=False)

    assert company.patience_s([A]) == PATIENCE_S
    assert company.patience_s([A, A]) == PATIENCE_S
    assert company.patience_s([A, B]) == 0


def test_waiting_in_vain_makes_it_seldom() -> None:
    """After each wait that brought nobody, twice as many commits go by without one, up to a bound."""
    company = Company()
    company.committed([A, B], in_vain=False)
    went_by = []
    for _ in range(9):
        company.committed([A], in_vain=True)
        count = 0
        while company.patience_s([A]) == 0:
            company.committed([A, B], in_vain=False)
            count += 1
        went_by.append(count)

    assert went_by == [1, 3, 7, 15, 31, 63, 64, 64, 64]


def test_lone_lines_wait_for_nobody_else() -> None:
    """A commit with lone lines is not held for what other users queue, only for their own."""

    def source(uid: int) -> Source:
        return cast(Source, SimpleNamespace(peer=Peer(uid=uid, pid=1, gid=uid)))

    assert is_strange([source(1)], [source(2)])
    assert not is_strange([source(2)], [source(2)])
    assert not is_strange([source(1)], [])
    assert not is_strange([], [source(1), source(2)])
