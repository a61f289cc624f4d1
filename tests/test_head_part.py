"""The temporal head in the product: its graph says what torch says, a stream what the whole says; events name it."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporal_fakes import SMALL

from heatmap.levels import AlarmLevel
from tvad import scan as scan_module
from tvad.detector import Detector
from tvad.encoder import C_APPEARANCE, Features
from tvad.events import Span
from tvad.findings import category
from tvad.flow import C_FLOW
from tvad.head_part import BESIDE, WINDOW, HeadGraph, HeadLevels, HeadPart
from tvad.kinds import Kind
from tvad.people import PeopleFinder
from tvad.scan import NOTHING, Scan
from tvad.settings import Settings
from tvad.temporal.reading import Reading, ReadingConfig, ReadingHead
from tvad.temporal.registry import HeadError, load_head, make_head, save_head
from tvad.temporal.snippets import DIM, DIM_FLOW, DIM_PLAIN, FRAME, SnippetStream
from tvad.temporal.text import random_text
from tvad.weights import MissingWeights

NAMES = ("normal", "fighting", "falling", "fire")
GRID = (6, 8)
LEVEL = AlarmLevel(0.0, 1.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path_factory.mktemp("cache")))


def saved(folder: Path, name: str = "vadclip", width: int = DIM, columns: tuple[tuple[int, int], ...] = ()) -> Path:
    torch.manual_seed(0)
    reading = Reading(ReadingConfig(width, columns, project=16))
    reading.learn(np.random.default_rng(0).normal(size=(50, width)))
    text = random_text(NAMES, 12) if name != "mil_ranking" else None
    save_head(ReadingHead(reading, make_head(name, 16, NAMES, text, **SMALL[name])), folder, NAMES)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("head"))


def stream(seconds: float, seed: int = 0, start_s: float = 0.0) -> Features:
    """Random features at 8 frames a second; what moves differs from second to second."""
    dice, count = np.random.default_rng(seed), round(seconds * 8)
    moving = (dice.random((count, *GRID)) < 0.3).astype(np.float32)
    motion = np.abs(dice.normal(size=(count, *GRID, 4))).astype(np.float32)
    patch = dice.normal(size=(count, *GRID, C_APPEARANCE)).astype(np.float32)
    frame = dice.normal(size=(count, FRAME)).astype(np.float32)
    flow = dice.random((count, *GRID, C_FLOW)).astype(np.float16)
    people = dice.random((count, 3, 6)).astype(np.float32)
    people[..., 2:4] = np.minimum(people[..., :2] + 0.3, 1)
    people[..., 5] = 0
    return Features(patch, motion, moving, moving, frame, start_s + np.arange(count) / 8, flow, people)


def cut(features: Features, first: int, last: int) -> Features:
    return Features(*(getattr(features, name)[first:last] for name in Features.__dataclass_fields__))


def run(part: HeadPart, features: Features, piece: int) -> HeadLevels:
    found: list[HeadLevels] = []
    for first in range(0, len(features), piece):
        found += part.push(cut(features, first, first + piece))
    found += part.finish()
    joined: dict[str, Any] = {k: np.concatenate([getattr(f, k) for f in found]) for k in ("level", "where", "times_s")}
    probs = None if found[0].probs is None else np.concatenate([f.probs for f in found])  # type: ignore[misc]
    return HeadLevels(joined["level"], probs, joined["where"], joined["times_s"])


@pytest.mark.parametrize("name", ["mil_ranking", "vadclip", "dsanet", "refinevad", "finevad", "afr"])
def test_the_graph_says_what_torch_says(name: str, tmp_path: Path) -> None:
    home = saved(tmp_path / name, name)
    graph, head = HeadGraph(home), load_head(home).head
    for count in (1, 7, WINDOW):
        rows = np.random.default_rng(count).normal(size=(count, DIM)).astype(np.float32)
        level, probs = graph.levels(rows)
        # A window is filled with padding, which nothing may depend on.
        with torch.no_grad():
            out = head(torch.from_numpy(rows)[None], torch.ones(1, count, dtype=torch.bool))
        assert np.abs(level - out.logits[0].numpy()).max() < 1e-3
        assert (probs is None) == (out.class_probs is None) == (graph.names == ())
        if probs is not None and out.class_probs is not None:
            assert np.abs(probs - out.class_probs[0].numpy()).max() < 1e-3


def test_what_is_no_head_is_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(MissingWeights, match="tvad train temporal"):
        HeadGraph(tmp_path)
    with pytest.raises(HeadError, match=f"snippets have {DIM}"):
        HeadGraph(saved(tmp_path, "mil_ranking", 40))
    with pytest.raises(ValueError, match="a window has 1 to"):
        HeadGraph(folder).levels(np.zeros((WINDOW + 1, DIM), np.float32))


def test_heads_of_before_flow_and_people_and_heads_that_do_not_read_them(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    for end in (DIM_PLAIN, DIM_FLOW):
        older = HeadGraph(saved(tmp_path / f"older{end}", "mil_ranking", end))
        other = HeadGraph(saved(tmp_path / f"other{end}", "mil_ranking", DIM, ((417, end),)))
        for graph in (older, other):
            assert graph.reads_flow == (end == DIM_FLOW) and not graph.reads_people
            np.testing.assert_array_equal(graph.levels(rows)[0], graph.levels(rows[:, :end])[0])
            with pytest.raises(ValueError, match=f"{end - 1} numbers; this head reads up to number {end}"):
                graph.levels(rows[:, : end - 1])
    reads = HeadGraph(saved(tmp_path / "reads", "mil_ranking", DIM, ((417, DIM),)))
    assert reads.reads_flow and reads.reads_people
    assert np.ptp(reads.levels(rows)[0] - reads.levels(rows * [[1]] * 2)[0]) > 0


@pytest.mark.parametrize(("end", "finder"), [(DIM_FLOW, None), (DIM, PeopleFinder)])
def test_flow_and_people_are_looked_at_where_the_head_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int, finder: type[PeopleFinder] | None
) -> None:
    detector = Detector.from_settings(Settings(parts=("head",)))
    plaza = Path(__file__).parents[1] / "examples" / "plaza.mp4"
    widths: list[int] = []
    reads = HeadGraph(saved(tmp_path, "mil_ranking", end, ((417, end),)))

    def levels(self: HeadGraph, rows: np.ndarray) -> tuple[np.ndarray, None]:
        widths.append(rows.shape[1])
        assert np.abs(rows[:, DIM_PLAIN:]).sum(1).min() > 0  # people walk all the time
        return np.zeros(len(rows), np.float32), None

    monkeypatch.setattr(HeadGraph, "levels", levels)
    short = replace(detector.settings, end_s=3.0)
    replace(detector, head=reads, people=finder() if finder else None, settings=short).analyze(plaza)
    assert widths == [end]


def test_a_head_that_cannot_be_a_graph_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HeadError, match="tsa_eval=hard"):
        HeadGraph(saved(tmp_path, "clip_tsa"))


@pytest.mark.parametrize("piece", [5, 16, 400])
def test_every_snippet_comes_once_whatever_the_pieces(folder: Path, piece: int) -> None:
    graph, features = HeadGraph(folder), stream(50)
    found = run(HeadPart(graph, 16.0), features, piece)
    assert found.times_s.tolist() == pytest.approx((np.arange(50) + 0.5).tolist())
    assert found.where.shape == (50, *GRID) and found.probs is not None and found.probs.shape == (50, 4)
    made = SnippetStream(16.0)
    whole = graph.levels(np.stack([*made.push(features), *made.finish()]))
    assert np.abs(found.level - whole[0]).max() < 1e-4


def test_windows_overlap_and_memory_stays_bounded(folder: Path) -> None:
    part = HeadPart(HeadGraph(folder), 16.0)
    seen, most = [], 0
    for n in range(150):
        for levels in part.push(stream(1.0, n, float(n))):
            seen.append(levels)
        most = max(most, len(part._held))
    seen += part.finish()
    times = np.concatenate([s.times_s for s in seen])
    assert times.tolist() == pytest.approx((np.arange(150) + 0.5).tolist()) and most <= WINDOW
    assert len(seen[0].level) == WINDOW - BESIDE and len(seen[1].level) == WINDOW - 2 * BESIDE


def test_a_stretch_begins_where_it_begins(folder: Path) -> None:
    found = run(HeadPart(HeadGraph(folder), 16.0, 3600.0), stream(4.0, start_s=3600.0), 8)
    assert found.times_s.tolist() == pytest.approx([3600.5, 3601.5, 3602.5, 3603.5])


# What becomes of it


def scan_of(level: list[float], where: np.ndarray, probs: np.ndarray | None = None) -> Scan:
    scan = Scan(LEVEL, (80, 60), (80, 60), None)
    scan.shape = where.shape[1:]
    scan.add_times(np.arange(4 * len(level)) / 4)
    scan.add_headed(HeadLevels(np.array(level, np.float32), probs, where, np.arange(len(level)) + 0.5))
    return scan


def test_heat_of_the_head_lies_where_movement_is_busiest() -> None:
    where = np.zeros((4, *GRID), bool)
    where[:2, 1:3, 1:3], where[2:, 4:6, 5:8] = True, True
    scan = scan_of([-8.0, 4.0, 4.0, -8.0], where)
    curve = scan.head_curve(LEVEL)
    heat = scan.heat_scores(None, False, curve).astype(np.float32)
    early, late = heat[6], heat[10]
    assert np.unravel_index(early.argmax(), GRID) in [(y, x) for y in (1, 2) for x in (1, 2)]
    assert np.unravel_index(late.argmax(), GRID) in [(y, x) for y in (4, 5) for x in (5, 6, 7)]
    assert early.max() > 0.6 and heat[0].max() < 0.3 and early[5, 7] < 0.3
    assert curve.min() >= NOTHING


def test_only_the_places_of_a_piece_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    where = np.random.default_rng(0).random((400, *GRID)) < 0.3  # 1600 frames, seven pieces
    looked: list[int] = []
    place = scan_module._soft
    monkeypatch.setattr(scan_module, "_soft", lambda w: (looked.append(1), place(w))[1])
    scan = scan_of([2.0] * 400, where)
    heat = scan.heat_scores(None, False, scan.head_curve(LEVEL))
    assert len(looked) <= 400 + 2 * 7
    assert (heat.astype(np.float32).reshape(len(heat), -1).max(1)[2:-2] > 0.5).mean() > 0.5


def test_class_probabilities_are_those_of_the_nearest_snippet() -> None:
    probs = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    scan = scan_of([0.0, 0.0], np.zeros((2, *GRID), bool), probs)
    found = scan.class_probs(np.array([0.0, 0.9, 1.1, 7.0]))
    assert found is not None and found[:, 1].tolist() == pytest.approx([0.1, 0.1, 0.8, 0.8])
    assert scan_of([0.0], np.zeros((1, *GRID), bool)).class_probs(np.zeros(1)) is None


def test_a_scan_keeps_nothing_of_a_window_but_its_levels() -> None:
    places, probs = np.zeros((64, *GRID), bool), np.zeros((64, 3), np.float32)
    kept = weakref.ref(places), weakref.ref(probs)
    scan = scan_of([], np.zeros((0, *GRID), bool))
    scan.add_headed(HeadLevels(np.zeros(32, np.float32), probs[16:48], places[16:48], np.arange(32.0)))
    del places, probs
    assert [ref() for ref in kept] == [None, None]
    assert len(scan.busiest) == 32


def test_a_stretch_has_the_snippets_around_it(folder: Path) -> None:
    probs = np.stack([np.arange(9), 8 - np.arange(9)], 1).astype(np.float32)
    scan = scan_of([0.0] * 9, np.zeros((9, *GRID), bool), probs)

    def rows(start_s: float, end_s: float) -> list[float]:
        found = scan.stretch_probs(start_s, end_s)
        assert found is not None
        return found[:, 0].tolist()

    assert rows(4.4, 4.6) == [3, 4, 5, 6] and rows(0.0, 0.2) == [0, 1, 2, 3] and rows(8.9, 9.0) == [5, 6, 7, 8]
    assert rows(1.0, 7.9) == [1, 2, 3, 4, 5, 6, 7]
    assert scan_of([0.0], np.zeros((1, *GRID), bool)).stretch_probs(0.0, 1.0) is None
    assert HeadGraph(folder).kind(probs) == Kind()  # nobody has calibrated that head's probabilities


def test_a_head_alone_tells_of_movement() -> None:
    assert category(Span(0, 1, 0), np.zeros(2), ("head",), None) == "unusual movement"
    assert category(Span(0, 1, 0), np.zeros(2), ("words",), None) == "unusual object"


def test_of_a_single_class_the_score_is_its_probability_and_it_is_not_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = make_head("mil_ranking", DIM, **SMALL["mil_ranking"])
    save_head(head, tmp_path, ("normal", "fighting"))
    graph = HeadGraph(tmp_path)
    level, probs = graph.levels(np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32))
    assert graph.names == ("normal", "fighting") and probs is not None
    assert probs.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert probs[:, 1].tolist() == pytest.approx((1 / (1 + np.exp(-level))).tolist())
    # It cannot tell fighting from any other violence.
    assert graph.kind(np.array([[0.01, 0.99]])) == Kind()
