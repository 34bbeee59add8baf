"""What is measured to learn from: near and far, good and bad, the same choice every time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.candidates import fallback_candidates, transfer_candidates
from recommender.collecting import collect, select
from recommender.errors import NothingMeasuredError, UsageError
from recommender.progress import Reporter
from recommender.session import Machine, PreparedModel
from recommender.vocabulary import Donor
from recommender.workspace import Workspace, open_workspace
from tests.recommender.test_candidates import HARDWARE, donor_of, matmul


def donors(n: int) -> list[Donor]:
    return [
        donor_of(matmul(64, 2**i, 32, key=str(i)), 2, (4, 1, 4, 4), (2**i, 1, 1, 1), (8, 4), i % 4)
        for i in range(n)
    ]


@given(n=st.integers(0, 12), per_kernel=st.integers(1, 60))
def test_a_selection_is_distinct_and_starts_with_the_fallback(n: int, per_kernel: int) -> None:
    workload = matmul(96, 120, 36)
    transfers, own = (
        transfer_candidates(workload, donors(n), HARDWARE),
        fallback_candidates(workload, HARDWARE),
    )

    ranked = transfers[::-1]
    chosen = select(ranked, transfers, own, per_kernel, np.random.default_rng(1))

    assert chosen[0] == own[0]
    assert len(chosen) <= max(per_kernel, 2)
    assert len({c.schedule for c in chosen}) == len(chosen)
    assert set(ranked[: per_kernel // 4]) <= set(chosen) | set(own)
    again = select(ranked, transfers, own, per_kernel, np.random.default_rng(1))
    assert again == chosen


def test_few_candidates_are_all_measured() -> None:
    workload = matmul(96, 120, 36)
    transfers = transfer_candidates(workload, donors(1), HARDWARE)

    own = fallback_candidates(workload, HARDWARE)
    chosen = select(transfers, transfers, own, 60, np.random.default_rng(1))

    assert set(transfers) <= set(chosen)


@pytest.mark.tvm
def test_if_no_kernel_can_be_measured_the_run_has_failed(
    model: PreparedModel, hopeless_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.collecting.SHIPPED", hopeless_workspace.store.path)  # quicker to read

    with pytest.raises(NothingMeasuredError, match=r"the worker died with SIGSEGV\)"):
        collect([model], 4, hopeless_workspace, Reporter(0))


@pytest.mark.tvm
def test_only_kernels_of_the_given_names_are_measured(
    model: PreparedModel, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.collecting.SHIPPED", tmp_path / "outcomes.db")  # quicker to read
    last = model.kernels[-1]
    with open_workspace(machine, tmp_path / "outcomes.db", "collect") as workspace:
        count = collect([model], 4, workspace, Reporter(0), names=[last.name])

        assert count == len(workspace.kept(last.workload.key)) > 0
        assert not any(workspace.kept(k.workload.key) for k in model.kernels if k.name != last.name)
        with pytest.raises(UsageError, match="no kernel is called pool"):
            collect([model], 4, workspace, Reporter(0), names=["pool*"])
