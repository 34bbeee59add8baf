"""How busy others keep the cores that a process may use."""

from recommender.harness.load import LoadMeter, busy_ticks

STAT = """\
cpu  400 0 40 9000 7 0 0 4 0 0
cpu0 100 1 20 4000 7 3 2 4 0 0
cpu1 5 0 0 4500 0 0 0 0 0 0
cpu10 295 0 20 500 0 0 0 0 0 0
intr 12345 0 0
"""


def test_only_the_cores_that_may_be_used_count() -> None:
    assert busy_ticks(STAT, {0}) == 100 + 1 + 20 + 3 + 2 + 4
    assert busy_ticks(STAT, {0, 1}) == 135
    assert busy_ticks(STAT, {1}) == 5
    assert busy_ticks(STAT, {99}) == 0


def test_an_idle_moment_has_no_load_to_speak_of() -> None:
    assert 0 <= LoadMeter().cores() < 64
