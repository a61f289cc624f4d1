"""Workers: one video that crashes, hangs, swells or is no video ends alone."""

from pathlib import Path

import pytest
from pool_fakes import FakeTask, who

from tvad.batch.inputs import Item, item_of
from tvad.batch.pool import Limits, Outcome, Pool
from tvad.weights import MissingWeights


def outcomes(items: list[Item], workers: int = 2, limits: Limits | None = None) -> dict[str, Outcome[str]]:
    with Pool(FakeTask(), workers, limits) as pool:
        found = [outcome for some in pool.run(items) for outcome in some]
    assert len(found) == len(items)
    return {Path(outcome.item.path).stem: outcome for outcome in found}


def test_every_video_has_one_outcome_whatever_befalls_it(tmp_path: Path) -> None:
    names = ["1", "2", "crash", "bug", "unfit", "once", "3", "hang"]
    found = outcomes([item_of(str(tmp_path / f"{name}.mp4")) for name in names], limits=Limits(2.0, 4.0))
    assert {name: o.kind for name, o in found.items()} == {
        "1": "",
        "2": "",
        "3": "",
        "once": "",
        "crash": "crash",
        "bug": "bug",
        "unfit": "unreadable",
        "hang": "time",
    }
    assert found["crash"].reason == "the program crashed on it, 2 times (signal SIGSEGV)"
    assert "KeyError" in found["bug"].reason and "\n" not in found["bug"].reason
    assert found["unfit"].reason == "it is damaged"
    assert "--time-limit" in found["hang"].reason
    assert found["1"].value == "1" and found["once"].value == "once"


def test_a_worker_that_outgrows_its_memory_is_ended() -> None:
    found = outcomes([Item("swell.mp4", "a"), Item("4.mp4", "b")], 1, Limits(30.0, 0.6))
    assert found["swell"].kind == "memory" and "--memory-limit" in found["swell"].reason
    assert found["4"].kind == ""


def unable() -> FakeTask:
    raise MissingWeights("the weights are gone; get them")


def test_what_no_worker_can_do_ends_the_run() -> None:
    with pytest.raises(MissingWeights, match="gone"), Pool(unable, 1) as pool:  # type: ignore[arg-type]
        list(pool.run([Item("1.mp4", "a")]))


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="--workers"):
        Pool(FakeTask(), 0)
    with pytest.raises(ValueError, match="above 0"):
        Limits(0.0, 1.0)


def test_a_worn_worker_makes_room_for_a_fresh_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvad.batch.pool.WORN", 1e-6)
    with Pool(who, 1) as pool:
        found = [outcome.value for some in pool.run([Item(f"{n}.mp4", str(n)) for n in range(3)]) for outcome in some]
    assert len(found) == 3 and len(set(found)) == 3
