"""The table of heads: rows, folds and tests; drawn clips as a list of videos."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn_truths import clip, walk
from temporal_fakes import made

from training.datasets.weak import read_videos
from training.datasets.weak_synthetic import described, joined
from training.datasets.weak_synthetic import main as write_list
from training.temporal.compare import Row, best_threshold, in_folds, lines, main, on_test
from training.temporal.pooled import block_folds
from tvad.temporal.extract import About, save

FLAGS = ["--steps", "40", "--normal", "4", "--anomalous", "4", "--length", "8", "--lr", "1e-2", "--share", "0"]
FLAGS += ["--threads", "1"]
SMALL = "mil_ranking hidden=8 small=4 dropout=0"


def test_a_row_is_a_head_with_settings() -> None:
    row = Row.of("refinevad motar=false gate_hidden=4", ["--steps", "5", "--share", "0.2", "--standard"])
    assert row.plan.head == "refinevad" and row.plan.settings == {"motar": False, "gate_hidden": 4}
    assert (row.training.steps, row.share) == (5, 0.2) and row.plan.reading == {"columns": (), "project": 0}
    assert Row.of("vadclip parts=coarse", []).folder != Row.of("vadclip", []).folder


def test_a_row_of_no_head_ends_the_program() -> None:
    with pytest.raises(SystemExit):
        Row.of("nothing", [])


def test_the_threshold_lies_where_both_kinds_are_right_most_often() -> None:
    scores, truth = np.array([0.1, 0.2, 0.6, 0.3, 0.7, 0.9]), np.array([0, 0, 0, 1, 1, 1], bool)
    assert best_threshold(scores, truth) == pytest.approx(0.25)
    assert best_threshold(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


def test_folds_and_tests_measure_what_a_head_has_not_seen(tmp_path: Path) -> None:
    videos = made(tmp_path / "data", 24)
    row = Row.of(SMALL, FLAGS)
    folds = in_folds(row, block_folds(videos, 3), tmp_path / "folds", 0)
    assert folds["video AUC"] > 0.75 and folds["balanced"] > 0.6 and folds["worst fold"] <= folds["mean of folds"]
    test = made(tmp_path / "test", 8, seed=1)
    found = on_test(row, (videos, test), tmp_path / "test-run", 0)
    assert found["AUC"] > 0.65 and "mAP AVG" not in found


def test_the_table_gives_mean_and_spread() -> None:
    table = {"vadclip": [{"AUC": 0.8, "mAP AVG": 10.0}, {"AUC": 0.9, "mAP AVG": 12.0}], "mil_ranking": [{"AUC": 0.5}]}
    assert list(lines(table)) == [
        "| head | AUC | mAP AVG |",
        "|---|---|---|",
        "| vadclip | 0.850 ±0.050 | 11.0 ±1.0 |",
        "| mil_ranking | 0.500 ±0.000 | - |",
    ]


def test_the_command_writes_the_table_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for video in made(tmp_path / "data", 12):
        segments = [list(s) for s in video.segments or ()]
        said = {"video": video.name, "label": list(video.labels) or "normal", "frames": video.frames, "fps": 30}
        rows.append(said | ({"segments": segments} if segments else {}))
    listed = tmp_path / "data" / "list.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    assert main([str(listed), SMALL, "--test", str(listed), "--seeds", "0", "1", "--out", str(out), "--", *FLAGS]) == 0
    printed = capsys.readouterr().out
    table = json.loads((out / "table.json").read_text())
    assert list(table["rows"]) == [SMALL] and len(table["rows"][SMALL]) == 2
    assert printed.splitlines() == list(lines(table["rows"]))
    assert main([str(tmp_path / "none.csv"), "--out", str(out)]) == 2


# Drawn clips


def test_touching_stretches_are_one() -> None:
    assert joined([(5, 9), (0, 3), (3, 4), (8, 12)]) == [(0, 4), (5, 12)]


def test_a_drawn_clip_is_a_line_with_its_segments() -> None:
    truth = clip(
        walk(1, anomaly="running", anomalous_s=((1.0, 2.0),)),
        walk(2, anomaly="running", anomalous_s=((1.5, 3.0),)),
        walk(3, anomaly="falling", anomalous_s=((2.0, 9.0),)),
        walk(4, anomaly=None),
    )
    line = described(truth, "0001")
    assert line["label"] == ["falling", "running"] and line["frames"] == 96 and line["fps"] == 12.0
    assert line["segments"] == [[24, 96, "falling"], [12, 36, "running"]]
    assert "segments" not in described(clip(walk(1, anomaly=None)), "0002")


def test_a_folder_of_clips_becomes_a_list_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips, features = tmp_path / "clips", tmp_path / "features"
    clip(walk(1, anomaly="running", anomalous_s=((1.0, 2.0),)), name="a").save(clips / "0001.truth.json")
    clip(walk(1, anomaly=None), name="b").save(clips / "0002.truth.json")
    command = [str(clips), "--features", str(features), "-o", str(tmp_path / "list.jsonl")]
    assert write_list(command) == 2 and "tvad extract" in capsys.readouterr().err
    for name in ("0001", "0002"):
        save(features / f"{name}.safetensors", np.ones((6, 4)), About(name, "test", 12.0, 96))
    assert write_list(command) == 0
    assert "2 videos, 1 of them anomalous, of 1 classes" in capsys.readouterr().out
    videos = read_videos(tmp_path / "list.jsonl", features)
    assert [(v.labels, v.segments, v.source) for v in videos] == [
        (("running",), ((12, 24, "running"),), "a"),
        ((), (), "b"),
    ]
    save(tmp_path / "brawls" / "x1.safetensors", np.ones((6, 4)), About("x1", "test", 12.0, 96))
    assert write_list([*command, "--also", f"fighting={tmp_path / 'brawls'}"]) == 0
    more = read_videos(tmp_path / "list.jsonl", tmp_path)
    assert (more[2].name, more[2].labels, more[2].segments) == ("brawls-x1", ("fighting",), None)
    assert write_list([*command, "--also", "fighting"]) == 2
    assert write_list([str(tmp_path), "-o", str(tmp_path / "x.jsonl")]) == 2
