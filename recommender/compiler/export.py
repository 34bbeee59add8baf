"""From chosen schedules to a compiled model and a tuning database that TVM itself opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tvm
from tvm import relax
from tvm.ir import IRModule
from tvm.s_tir import meta_schedule as ms
from tvm.target import Target

from recommender.compiler.sketches import DesignSpace
from recommender.vocabulary import Schedule


def write_database(
    folder: Path,
    spaces: Mapping[str, DesignSpace],
    choices: Mapping[str, tuple[Schedule, float]],
    target: Target,
) -> None:
    """Write chosen schedules, with their seconds, as a MetaSchedule JSON database; then reopen it.

    One bad record makes TVM refuse a whole database, so the reopening is part of writing.
    """
    database = _open(folder)
    for key, (schedule, seconds) in choices.items():
        _commit(database, spaces[key], schedule, seconds, target)
    if len(_open(folder).get_all_tuning_records()) < len(choices):
        raise RuntimeError(f"the database in {folder} does not hold all {len(choices)} records")


def _open(folder: Path) -> ms.database.Database:
    return ms.database.JSONDatabase(
        str(folder / "database_workload.json"), str(folder / "database_tuning_record.json")
    )


def _commit(
    database: ms.database.Database, space: DesignSpace, schedule: Schedule, seconds: float, target: Target
) -> None:
    record = ms.database.TuningRecord(
        space.replay(schedule).trace,
        database.commit_workload(space.module),
        [seconds],
        target,
        ms.arg_info.ArgInfo.from_prim_func(space.module["main"]),
    )
    database.commit_tuning_record(record)


def compile_model(
    lowered: IRModule,
    spaces: Mapping[str, DesignSpace],
    choices: Mapping[str, Schedule],
    target: Target,
    path: Path,
) -> None:
    """Compile a lowered model with the chosen schedules into a shared library at `path`.

    Weights are laid out, at compile time, in the order in which the chosen tiling reads them: the
    model streams them from memory at every inference. A kernel without a choice stays as naive as
    TVM leaves it.
    """
    database = ms.database.MemoryDatabase()
    for key, schedule in choices.items():
        _commit(database, spaces[key], schedule, 1.0, target)
    passes = [
        relax.transform.SplitLayoutRewritePreproc(),
        relax.transform.FoldConstant(),
        relax.transform.CanonicalizeBindings(),  # else packed weights are put in tuples at every inference
        relax.transform.DeadCodeElimination(),
    ]
    with target, database, tvm.transform.PassContext(opt_level=3):
        scheduled = relax.transform.MetaScheduleApplyDatabase()(lowered)
        packed = tvm.transform.Sequential(passes)(scheduled)
        executable = tvm.compile(packed, target=target)
    executable.export_library(str(path))
