import pytest
from bench.rows import BEST_PEER, FIGURES, ROWS, Row, in_turn, select
from bench.servers import OURS, PEERS


def keys(names: str, *, quick: bool = False) -> list[str]:
    return [row.key for row in select(names, quick=quick)]


def test_all_rows_are_run_unless_some_are_named() -> None:
    assert select("", quick=False) == list(ROWS)
    assert keys("idle, small-room") == ["small-room", "idle"]


def test_a_row_is_named_by_its_beginning() -> None:
    assert keys("join-") == ["join-2000", "join-5000"]


def test_an_unknown_row_is_refused_and_those_there_are_are_named() -> None:
    with pytest.raises(ValueError, match=r"there is no row 'idel'; there are: fan-out-100, "):
        select("idle,idel", quick=False)


def test_a_quick_run_leaves_out_what_takes_long_unless_it_is_named() -> None:
    assert "growth-10000" not in keys("", quick=True)
    assert keys("growth-10000", quick=True) == ["growth-10000"]


def test_in_a_turn_each_row_is_run_with_each_of_its_servers() -> None:
    joining, idle = select("join-2000,idle", quick=False)
    assert list(in_turn([joining, idle], quick=False)) == [
        *((joining, server) for server in joining.servers),
        *((idle, server) for server in idle.servers),
    ]


def test_rows_of_one_series_alternate_and_are_run_more_often() -> None:
    rows = select("all-read,one-slow", quick=False)
    order = [(row.key, server) for row, server in in_turn(rows, quick=False)]
    assert order[:4] == [("all-read", "trichat"), ("one-slow", "trichat"), ("all-read", "floor"), ("one-slow", "floor")]
    assert order[4:8] == [
        ("one-slow", "trichat"),
        ("all-read", "trichat"),
        ("one-slow", "floor"),
        ("all-read", "floor"),
    ]
    assert order == order[:8] * 2
    assert len(list(in_turn(rows, quick=True))) == 4


def test_rows_of_one_series_have_the_same_servers() -> None:
    for row in ROWS:
        if row.series:
            assert {other.servers for other in ROWS if other.series == row.series} == {row.servers}, row.key


def test_rows_have_names_of_their_own() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_what_a_row_speaks_of_is_there(row: Row) -> None:
    assert set(row.shows) <= set(FIGURES)
    assert set(row.servers) <= {*OURS, *PEERS}
    for goal in row.goals:
        of = next(other for other in ROWS if other.key == (goal.row or row.key))
        assert goal.figure in row.shows
        assert goal.figure in of.shows
        assert goal.server in row.servers
        assert goal.of in ("", BEST_PEER, *of.servers)
        assert (goal.most is None) != (goal.least is None)


def test_the_full_key_of_a_row_selects_that_row_alone() -> None:
    assert keys("fan-out-500") == ["fan-out-500"]
    assert keys("fan-out-50") == ["fan-out-500", "fan-out-5000"]
