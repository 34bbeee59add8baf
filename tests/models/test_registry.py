"""Own rankers: kept by name, used on demand, carried to other machines, never trusted blindly."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.errors import DataError, UsageError
from recommender.features import FEATURE_NAMES, FEATURES_HASH
from recommender.models import registry
from recommender.models.artefact import RankerCard, load_ranker, save_ranker
from recommender.models.boosted import BoostedRanker


@pytest.fixture
def ranker() -> BoostedRanker:
    X = np.random.default_rng(0).random((60, len(FEATURE_NAMES)), dtype=np.float32)
    return BoostedRanker(rounds=5).fit(X, X[:, 0].astype(float), np.repeat(np.arange(6), 10))


def card(**changes: Any) -> RankerCard:
    values = {"features_hash": FEATURES_HASH, "data_digest": "0123456789", "rows": 60, "workloads": 6}
    return RankerCard(**{**values, "objective": "relative-speed", "trained_at": "2026-01-02", **changes})


def test_the_shipped_ranker_is_used_until_another_is_chosen(ranker: BoostedRanker) -> None:
    assert registry.active_name() == "shipped"

    name = registry.keep_ranker(ranker, card())
    assert name == "2026-01-02-01234567"
    assert registry.ranker_names() == ["shipped", name]
    assert registry.active_name() == "shipped"

    registry.use_ranker(name)
    assert registry.active_name() == name
    registry.use_ranker("shipped")
    assert registry.active_name() == "shipped"


def test_a_ranker_that_cannot_be_read_is_not_put_to_use(ranker: BoostedRanker) -> None:
    name = registry.keep_ranker(ranker, card(features_hash="other"))
    with pytest.raises(DataError, match=f"other.*{FEATURES_HASH}"):
        registry.use_ranker(name)
    assert registry.active_name() == "shipped"


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no ranker is called nonesuch; there are: shipped"):
        registry.use_ranker("nonesuch")


def test_an_exported_ranker_predicts_the_same_elsewhere(
    ranker: BoostedRanker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.keep_ranker(ranker, card())
    registry.export_ranker(name, tmp_path / "r.zip")

    monkeypatch.setenv("RECOMMENDER_DATA", str(tmp_path / "another"))
    registry.import_ranker(tmp_path / "r.zip", "theirs")

    X = np.random.default_rng(1).random((20, len(FEATURE_NAMES)), dtype=np.float32)
    loaded, page = load_ranker(registry.ranker_stem("theirs"))
    assert (loaded.predict(X) == ranker.predict(X)).all()
    assert page == card()
    with pytest.raises(UsageError, match="taken"):
        registry.import_ranker(tmp_path / "r.zip", "theirs")


@pytest.mark.parametrize("name", ["../outside", "", "a/b", "shipped"])
def test_a_name_cannot_lead_out_of_the_folder(ranker: BoostedRanker, tmp_path: Path, name: str) -> None:
    registry.export_ranker(registry.keep_ranker(ranker, card()), tmp_path / "r.zip")
    with pytest.raises(UsageError):
        registry.import_ranker(tmp_path / "r.zip", name)


def test_a_place_that_cannot_be_written_is_said(ranker: BoostedRanker) -> None:
    with pytest.raises(DataError, match="cannot be written; free some space"):
        save_ranker(ranker, card(), Path("/proc/1/ranker"))  # not even root can make files there


def test_names_with_dots_stay_apart(ranker: BoostedRanker, tmp_path: Path) -> None:
    registry.export_ranker(registry.keep_ranker(ranker, card()), tmp_path / "r.zip")
    for name in ("v1", "v1.2"):
        registry.import_ranker(tmp_path / "r.zip", name)
    assert registry.ranker_names()[-2:] == ["v1", "v1.2"]
    registry.use_ranker("v1.2")
    assert registry.active_name() == "v1.2"


def test_a_second_ranker_of_a_day_gets_a_name_of_its_own(ranker: BoostedRanker) -> None:
    names = [registry.keep_ranker(ranker, card()) for _ in range(3)]
    assert len(set(names)) == 3
    assert set(names) < set(registry.ranker_names())


@pytest.mark.parametrize(
    ("changes", "message"), [({"objective": "sorcery"}, "sorcery"), ({"features_hash": "x"}, "features x")]
)
def test_a_page_that_does_not_fit_is_refused(
    ranker: BoostedRanker, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_ranker(registry.ranker_stem(registry.keep_ranker(ranker, card(**changes))))


def test_a_booster_of_other_features_is_refused() -> None:
    narrow = BoostedRanker(rounds=2).fit(np.eye(6, 3, dtype=np.float32), np.arange(6.0), np.zeros(6, int))
    with pytest.raises(DataError, match="has 3 features"):
        load_ranker(registry.ranker_stem(registry.keep_ranker(narrow, card())))


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name.replace("__", "."), content)
    return path


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"ranker__json": b"{}"},
        {"ranker__json": json.dumps({"features_hash": FEATURES_HASH}).encode(), "ranker__ubj": b""},
        {"ranker__json": b"\x80\x04cos\nsystem\n", "ranker__ubj": b"\x80\x04cos\nsystem\n"},
    ],
    ids=["empty", "half", "incomplete page", "pickles"],
)
def test_what_is_no_ranker_is_refused_and_leaves_nothing(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(DataError):
        registry.import_ranker(archive(tmp_path / "r.zip", **members), "theirs")
    assert registry.ranker_names() == ["shipped"]


def test_no_zip_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="no exported ranker"):
        registry.import_ranker(tmp_path / "r.zip", "theirs")
