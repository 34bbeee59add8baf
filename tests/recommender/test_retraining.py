"""Training on own outcomes: what counts, what replaces the ranker in use, and what is said if nothing can."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.datasets.layers import Data, load_data
from recommender.datasets.store import Store
from recommender.errors import DataError
from recommender.features import FEATURES_HASH
from recommender.models import registry
from recommender.models.artefact import load_ranker, ranker_files
from recommender.models.boosted import BoostedRanker
from recommender.models.gate import compare_rankers, held_out_workloads
from recommender.models.training import OTHER_MACHINE_WEIGHT, TrainingSet, fit_ranker, training_set
from recommender.progress import Reporter
from recommender.retraining import Retrained, keep, place_of, plan_training, retrain, select_outcomes
from recommender.session import Machine
from recommender.vocabulary import Outcome, Status
from tests.datasets.test_library import store_of

SEED = 3
"""Holds kernels out that a ranker is wrong about unless it remembers them."""


def turned_upside_down(y: np.ndarray) -> np.ndarray:
    """What was nearly as fast as the best becomes slow, and the other way round."""
    return np.asarray(-np.log2(1.001 - np.exp2(-y)))


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """What replaces what does not hang on how many trees there are."""
    names = signature(BoostedRanker).parameters
    defaults = {**{n: p.default for n, p in names.items()}, "trees_per_round": 4}
    monkeypatch.setattr(BoostedRanker.__init__, "__defaults__", tuple(defaults[n] for n in names))


def recommender(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_train_keeps_judges_and_uses(library: Path) -> None:
    trained = recommender("train", "--only-mine", "--store", library, "--force", "-q")
    assert trained.exit_code == 0, trained.stderr
    assert "held-out" in trained.stdout
    (name,) = registry.ranker_names()[1:]
    assert registry.active_name() == name

    listed = recommender("models", "list").stdout
    assert f"* {name}" in listed
    assert '"regret_at_1"' in recommender("models", "show", name).stdout
    compared = recommender("models", "compare", "shipped", name, "--store", library)
    assert "regret@1 on" in compared.stdout, compared.stderr
    assert recommender("models", "use", "shipped").exit_code == 0
    assert registry.active_name() == "shipped"


@pytest.fixture
def there(shipped_of_two_models: Data, machine: Machine) -> Machine:
    """The machine that the shipped outcomes are of."""
    hardware, pipeline = shipped_of_two_models.most_measured()
    return replace(machine, hardware=hardware, pipeline=pipeline)


def retrained(data: Data, there: Machine, everything: Data | None = None) -> Retrained:
    """A ranker of all outcomes, all of them one's own."""
    plan = plan_training(data, there, everything=everything, exclude_models=[], seed=SEED)
    return retrain(plan, {m.workload for m in data.measurements}, Reporter(0))


def test_a_worse_ranker_is_found_out(
    shipped_of_two_models: Data, there: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one learns from newer outcomes that are upside down, and must lose against the shipped one."""
    data = shipped_of_two_models

    def upside_down(*arguments: object) -> TrainingSet:
        rows = training_set(*arguments)  # type: ignore[arg-type]
        newer = rows.groups % 3 > 0
        return replace(
            rows,
            y=np.where(newer, turned_upside_down(rows.y), rows.y),
            measured_at=np.where(newer, np.inf, rows.measured_at),
        )

    monkeypatch.setattr("recommender.retraining.training_set", upside_down)
    result = retrained(data, there)

    assert result.verdict.workloads > 5
    assert not result.verdict.is_no_worse
    assert result.card.metrics["regret_at_1"] > result.card.metrics["regret_at_1_of_the_one_before"]


def test_what_the_ranker_in_use_remembers_does_not_count(shipped_of_two_models: Data, there: Machine) -> None:
    """Trained again on the same outcomes, a ranker is as good as itself on kernels held out from both."""
    data = shipped_of_two_models
    first = retrained(data, there)
    keep(first, force=True)

    again = retrained(data, there)

    assert again.verdict.workloads > 5
    assert again.verdict.old_regret_at_1 == again.verdict.new_regret_at_1
    rows = training_set(data, data.relatives(there.hardware), there.pipeline)
    here = there.hardware.id
    held_out = held_out_workloads(rows, here, rows.workloads, SEED)
    remembered = compare_rankers(None, first.ranker, rows, here, held_out).new_regret_at_1
    assert remembered is not None
    assert remembered < again.verdict.new_regret_at_1
    assert again.ranker.booster_.save_raw() == first.ranker.booster_.save_raw()


def test_what_it_remembers_does_not_count_either_where_only_newer_outcomes_are_learned_from(
    shipped_of_two_models: Data, there: Machine
) -> None:
    """The ranker in use learned held-out kernels from outcomes that the new one does not look at."""
    data = shipped_of_two_models
    keep(retrained(data, there), force=True)
    later = max(m.measured_at for m in data.measurements) + 1
    newer = replace(data, measurements=tuple(replace(m, measured_at=later) for m in data.measurements[::2]))
    everything = replace(data, measurements=data.measurements + newer.measurements)

    def verdict(known: Data | None) -> float:
        result = retrained(newer, there, known).verdict
        assert result.old_regret_at_1 is not None
        return result.old_regret_at_1

    assert verdict(everything) > verdict(None)  # which is what it remembers


def test_outcomes_are_selected_by_hardware_and_time(library: Path) -> None:
    data = load_data(library)
    times = sorted(m.measured_at for m in data.measurements)
    middle = times[len(times) // 2]

    recent = select_outcomes(data, since=middle)
    assert 0 < len(recent.measurements) < len(data.measurements)
    assert all(m.measured_at >= middle for m in recent.measurements)
    with pytest.raises(DataError, match="hardware with outcomes: "):
        select_outcomes(data, hardware="another")


def test_the_same_schedule_elsewhere_is_not_ones_own(library: Path) -> None:
    mine = load_data(library)
    elsewhere = tuple(replace(m, hardware="elsewhere") for m in mine.measurements)
    both = replace(mine, measurements=mine.measurements + elsewhere)

    selected = select_outcomes(both, only={place_of(m) for m in mine.measurements})

    assert selected.measurements == mine.measurements


def test_outcomes_of_other_machines_count_less(library: Path, machine: Machine) -> None:
    """What a far machine says in contradiction must not change the order that the near one teaches."""
    data = load_data(library)
    rows = training_set(data, [machine.hardware], machine.pipeline)
    n, opposite = len(rows.workloads), turned_upside_down(rows.y)
    contradicting = replace(
        rows,
        X=np.vstack([rows.X, rows.X]),
        y=np.concatenate([rows.y, opposite]),
        groups=np.concatenate([rows.groups, rows.groups + n]),
        seconds=np.concatenate([rows.seconds, np.exp2(np.nan_to_num(opposite, nan=np.inf))]),
        workloads=rows.workloads * 2,
        donors=np.concatenate([rows.donors, rows.donors]),
        measured_at=np.concatenate([rows.measured_at, rows.measured_at]),
        machines=rows.machines + ("far",) * n,
    )
    near = fit_ranker(contradicting, machine.hardware.id).predict(rows.X)
    far = fit_ranker(contradicting, "far").predict(rows.X)

    assert OTHER_MACHINE_WEIGHT < 1
    ok = np.isfinite(rows.y)
    assert np.corrcoef(near[ok], rows.y[ok])[0, 1] > 0.1
    assert np.corrcoef(far[ok], rows.y[ok])[0, 1] < -0.1


class TestTrain:
    """`recommender train` on few made-up outcomes, with nothing but those to read."""

    KEYS = tuple("abcdefgh")

    @pytest.fixture(autouse=True)
    def shipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Path:
        """The same kernels and more, measured on another machine with more candidates."""
        path = tmp_path / "shipped.db"
        monkeypatch.setattr("recommender.datasets.layers.SHIPPED", path)
        elsewhere = replace(machine.hardware, cpu="elsewhere")
        return store_of(path, elsewhere, machine.pipeline, *self.KEYS, "x", "y", schedules=7)

    @pytest.fixture
    def own(self, tmp_path: Path, machine: Machine) -> Path:
        return store_of(tmp_path / "own.db", machine.hardware, machine.pipeline, *self.KEYS, schedules=4)

    @staticmethod
    def metrics(stem: Path) -> dict[str, Any]:
        return dict(load_ranker(stem)[1].metrics)

    def test_kernels_are_judged_on_the_machine_itself_and_count_once(
        self, own: Path, machine: Machine
    ) -> None:
        trained = recommender("train", "--store", own, "-q")

        assert trained.exit_code == 0, trained.stderr
        here = machine.hardware.id
        assert f"on 2 held-out kernels of {here}: " in trained.stdout
        (name,) = registry.ranker_names()[1:]
        metrics = self.metrics(registry.ranker_stem(name))
        assert (metrics["held_out_machine"], metrics["held_out_kernels"]) == (here, 2)
        compared = recommender("models", "compare", "shipped", name, "--store", own)
        assert f"regret@1 on 8 kernels of {here}\n" in compared.stdout, compared.stderr

    def test_kernels_with_few_candidates_of_ones_own_do_not_judge(self, own: Path, machine: Machine) -> None:
        """Elsewhere they have enough; that two of them have too few here is no reason to look there."""
        store_of(own, machine.hardware, machine.pipeline, "x", "y", schedules=2)

        compared = recommender("models", "compare", "shipped", "shipped", "--store", own)

        assert "regret@1 on 8 kernels" in compared.stdout, compared.stderr

    def test_what_one_measured_on_another_machine_is_not_ones_own_here(
        self, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
    ) -> None:
        """Kernels are held out of all that is known of this machine, not of the two measured elsewhere."""
        monkeypatch.setattr("recommender.datasets.layers.SHIPPED", own)
        elsewhere = replace(machine.hardware, cpu="elsewhere")
        store = store_of(tmp_path / "theirs.db", elsewhere, machine.pipeline, "a", "b", schedules=7)

        trained = recommender("train", "--store", store, "-q")

        assert f"on 2 held-out kernels of {machine.hardware.id}: " in trained.stdout, trained.stderr
        compared = recommender("models", "compare", "shipped", "shipped", "--store", store)
        assert "regret@1 on 8 kernels" in compared.stdout, compared.stderr

    @pytest.mark.parametrize("own_outcomes", [True, False], ids=["own outcomes", "no outcomes of one's own"])
    def test_a_ranker_that_is_written_elsewhere_has_metrics_too(
        self, own_outcomes: bool, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
    ) -> None:
        if not own_outcomes:  # as where the shipped ranker is made
            monkeypatch.setattr("recommender.datasets.layers.SHIPPED", own)
        store = own if own_outcomes else tmp_path / "none.db"

        done = recommender("train", "--store", store, "-q", "-o", tmp_path / "new")

        assert done.exit_code == 0, done.stderr
        metrics = self.metrics(tmp_path / "new")
        assert (metrics["held_out_machine"], metrics["held_out_kernels"]) == (machine.hardware.id, 2)
        assert 0 <= metrics["regret_at_5"] <= metrics["regret_at_1"]
        assert registry.ranker_names() == ["shipped"]

    def test_where_nothing_was_measured_the_nearest_relative_judges(self, tmp_path: Path) -> None:
        done = recommender("train", "--store", tmp_path / "none.db", "-q", "-o", tmp_path / "new")

        assert done.exit_code == 0, done.stderr
        metrics = self.metrics(tmp_path / "new")
        assert metrics["held_out_machine"].startswith("elsewhere-")
        assert metrics["held_out_kernels"] == 2
        assert metrics["regret_at_1"] >= 0

    def test_a_ranker_in_use_that_cannot_be_read_is_replaced_by_one_with_metrics(self, own: Path) -> None:
        """As after every change of the features."""
        recommender("train", "--store", own, "-q", "--force")
        old = registry.active_name()
        page = ranker_files(registry.ranker_stem(old))[1]
        page.write_text(page.read_text().replace(FEATURES_HASH, "older"))

        done = recommender("train", "--store", own, "-q")

        assert done.exit_code == 0, done.stderr
        assert "no ranker in use can be read" in done.stdout
        name = registry.active_name()
        assert name != old
        metrics = self.metrics(registry.ranker_stem(name))
        assert metrics["held_out_kernels"] == 2
        assert metrics["regret_at_1"] >= metrics["regret_at_5"] >= 0
        assert metrics["regret_at_1_of_the_one_before"] is None

    def test_at_most_three_rankers_are_trained(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The new one, its twin and that of the one in use; of one that cannot be read there is none."""
        fits: list[int] = []
        fit = BoostedRanker.fit

        def counted(self: BoostedRanker, X: np.ndarray, *rest: Any, **named: Any) -> BoostedRanker:
            fits.append(len(X))
            return fit(self, X, *rest, **named)

        monkeypatch.setattr(BoostedRanker, "fit", counted)
        recommender("train", "--store", own, "-q", "--force")
        assert len(fits) == 3
        held_out = 2 * (4 + 7)  # rows of two kernels, on both machines
        assert sorted(fits) == [max(fits) - held_out, max(fits) - held_out, max(fits)]

        damaged = ranker_files(registry.ranker_stem(registry.active_name()))[0]
        damaged.write_bytes(b"")
        fits.clear()
        recommender("train", "--store", own, "-q")
        assert len(fits) == 2

    def test_nothing_is_trained_twice_on_the_same(self, own: Path, machine: Machine) -> None:
        recommender("train", "--store", own, "-q", "--force")
        names = registry.ranker_names()

        again = recommender("train", "--store", own, "-q")

        assert again.exit_code == 0, again.stderr
        assert again.stdout.startswith(f"{names[1]} is in use and was trained on just this")
        assert len(again.stdout.splitlines()) == 1
        assert registry.ranker_names() == names

        recommender("train", "--store", own, "-q", "--force")
        assert registry.ranker_names() == [*names, f"{names[1]}-2"]
        recommender("train", "--store", own, "-q", "--seed", "1")
        assert len(registry.ranker_names()) == 4
        registry.use_ranker(names[1])
        store_of(own, machine.hardware, machine.pipeline, "z")
        assert "held-out" in recommender("train", "--store", own, "-q").stdout

    def test_what_is_written_elsewhere_is_written_all_the_same_and_is_the_same(
        self, own: Path, tmp_path: Path
    ) -> None:
        recommender("train", "--store", own, "-q", "--force")
        for name in ("first", "second"):
            assert recommender("train", "--store", own, "-q", "-o", tmp_path / name).exit_code == 0

        first, second, used = (
            ranker_files(stem)[0].read_bytes()
            for stem in (
                tmp_path / "first",
                tmp_path / "second",
                registry.ranker_stem(registry.active_name()),
            )
        )
        assert first == second == used
        assert self.metrics(tmp_path / "first") == self.metrics(tmp_path / "second")

    def test_outcomes_that_all_failed_are_said_in_one_line(self, tmp_path: Path, machine: Machine) -> None:
        store = store_of(tmp_path / "failed.db", machine.hardware, machine.pipeline, "a", "b")
        with Store(store) as opened:
            for m in list(opened.measurements()):
                opened.add(replace(m, outcome=Outcome.failure(Status.CRASHED, "SIGSEGV")))

        done = recommender("train", "--only-mine", "--store", store, "-q")

        assert (done.exit_code, done.stdout) == (7, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: none of 6 measured candidates ran")
        assert "recommender collect" in line
        assert registry.ranker_names() == ["shipped"]
