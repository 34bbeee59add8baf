"""A schedule owes something to every model in its line, whatever was filtered away since."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from recommender.datasets.layers import Data
from recommender.datasets.lineage import Lineage
from recommender.datasets.records import KernelUse, Measurement
from recommender.vocabulary import Outcome, Status
from tests.datasets.test_library import WORKLOADS, timed
from tests.datasets.test_store import HARDWARE

KERNELS = (KernelUse("model-a", "a", "k", 1, "p"), KernelUse("model-b", "b", "k", 1, "p"))
PARENT = timed("a", 8, 1.0)
CHILD = replace(timed("b", 16, 1.0), donor=f"a/{PARENT.schedule.id}")
GRANDCHILD = replace(timed("b", 4, 1.0), donor=f"b/{CHILD.schedule.id}")


def data(*measurements: Measurement) -> Data:
    return Data(measurements, KERNELS, WORKLOADS, {HARDWARE.id: HARDWARE})


def test_a_chain_is_whole_though_its_links_failed_or_were_measured_elsewhere() -> None:
    failed = replace(CHILD, outcome=Outcome.failure(Status.TIMED_OUT, "busy machine"))
    elsewhere = replace(PARENT, hardware="other")
    known = data(elsewhere, failed, GRANDCHILD)

    assert known.donors(HARDWARE, "p", ["model-a"]) == []
    assert [d.origins for d in known.donors(HARDWARE, "p")] == [{"model-a", "model-b"}]


def test_parts_of_the_data_remember_the_whole() -> None:
    part = data(PARENT, CHILD, GRANDCHILD).only(lambda m: m is GRANDCHILD)

    assert part.measurements == (GRANDCHILD,)
    assert part.donors(HARDWARE, "p", ["model-a"]) == []
    of_b = data(PARENT, CHILD, GRANDCHILD).of_models(["model-b"])
    assert of_b.donors(HARDWARE, "p", ["model-a"]) == []


def test_a_donor_that_nothing_is_known_of_is_left_out_with_any_model() -> None:
    orphan = replace(timed("b", 8, 1.0), donor="gone/0123")

    assert len(data(orphan).donors(HARDWARE, "p")) == 1
    assert data(orphan).donors(HARDWARE, "p", ["model-a"]) == []


def test_forgetting_a_workload_forgets_what_descends_from_it() -> None:
    known = data(PARENT, CHILD, GRANDCHILD, timed("b", 32, 2.0))

    assert [m.schedule for m in known.without_workloads(["a"]).measurements] == [timed("b", 32, 2.0).schedule]


def test_a_search_from_several_donors_owes_to_all_of_them() -> None:
    other = timed("b", 2, 1.0)
    both = replace(timed("b", 64, 1.0), donor=f"a/{PARENT.schedule.id},b/{other.schedule.id}")
    lineage = Lineage.of([PARENT, other, both], KERNELS)

    assert lineage.models(both) == {"model-a", "model-b"}
    assert not lineage.allowed(both, ["model-a"])
    assert lineage.allowed(other, ["model-a"])


def test_a_model_that_only_got_a_recommendation_gives_nothing() -> None:
    """Else a copy of a model under another name would bring back what was left out."""
    copy = KernelUse("copy-of-a", "a", "k", 1, "p")
    searched = replace(PARENT, run="model-a", source="tune")
    recommended = replace(timed("a", 2, 0.5), run="copy-of-a", source="recommend")
    known = Data((searched, recommended), (*KERNELS, copy), WORKLOADS, {HARDWARE.id: HARDWARE})

    assert known.donors(HARDWARE, "p", ["model-a"]) == []
    collected = replace(recommended, source="collect")
    gave = Data((searched, collected), (*KERNELS, copy), WORKLOADS, {HARDWARE.id: HARDWARE})
    assert gave.donors(HARDWARE, "p", ["model-a"])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
def test_circles_end(links: list[tuple[int, int]]) -> None:
    names = {n: timed("a", 2**n, 1.0) for n in range(7)}
    rows = [replace(names[a], donor=f"a/{names[b].schedule.id}") for a, b in links]
    lineage = Lineage.of(rows, KERNELS)

    assert all(lineage.workloads(row) == {"a"} for row in rows)


def test_a_transfer_comes_from_kernels_of_other_models() -> None:
    known = data(PARENT, CHILD, GRANDCHILD)
    sibling = replace(timed("b", 64, 1.0), donor=f"b/{timed('b', 2, 1.0).schedule.id}")
    orphan = replace(timed("b", 8, 1.0), donor="gone/0123")

    assert known.lineage.is_transfer(CHILD)
    assert not known.lineage.is_transfer(PARENT)  # nobody gave it
    assert not known.lineage.is_transfer(GRANDCHILD)  # its own model's kernel did
    assert not known.lineage.is_transfer(sibling)
    assert not known.lineage.is_transfer(orphan)  # who knows from whom
