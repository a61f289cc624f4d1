"""The papers' protocol in one command, on lists in the published layout."""

from pathlib import Path

import numpy as np
import pytest
from temporal_fakes import SMALL as SMALL_SETTINGS

from training.datasets.weak import WeakVideo
from training.score_files import Prediction
from training.temporal.evaluate import Scoring, predict
from training.temporal.papers import against_frames, main, set_of
from tvad.temporal.registry import HEADS, SavedHead

FLAGS = ["--", "--steps", "12", "--every", "6", "--normal", "4", "--anomalous", "4", "--length", "8", "--lr", "1e-3"]
SMALL = "mil_ranking hidden=8 small=4"
WIDTH = 12


def lists(folder: Path) -> tuple[Path, Path, Path]:
    """A small UCF-Crime: 12 training videos of two classes and as many normal ones, two crops; 8 test videos."""
    dice, features = np.random.default_rng(0), folder / "features"
    train, test, truth, gt = ["path,label"], ["path,label"], [], []

    def put(group: str, stem: str, steps: int, odd: slice | None) -> str:
        rows = dice.normal(size=(steps, WIDTH)).astype(np.float16)
        if odd:
            rows[odd] += 2
        (features / group).mkdir(parents=True, exist_ok=True)
        np.save(features / group / f"{stem}.npy", rows)
        return f"/somewhere/else/UCFClipFeatures/{group}/{stem}.npy"

    for n in range(12):
        for kind, group in (("Abuse", "Abuse"), ("Arson", "Arson"), ("Normal", "Training_Normal_Videos_Anomaly")):
            name = f"{kind}{n:03}_x264" if kind != "Normal" else f"Normal_Videos{n:03}_x264"
            odd = None if kind == "Normal" else slice(2, 5)
            train += [f"{put(group, f'{name}__{crop}', 8, odd)},{kind}" for crop in range(2)]
    for n in range(4):
        odd = put("Abuse", f"Abuse{100 + n}_x264__5", 9, slice(3, 6))
        calm = put("Testing_Normal_Videos_Anomaly", f"Normal_Videos_{100 + n}_x264__5", 7, None)
        test += [f"{odd},Abuse", f"{calm},Normal"]
        truth += [
            f"Abuse{100 + n}_x264  Abuse  48  96  -1  -1",
            f"Normal_Videos_{100 + n}_x264  Normal  -1  -1  -1  -1",
        ]
        gt += [np.repeat([0, 0, 0, 1, 1, 1, 0, 0, 0], 16), np.zeros(7 * 16)]
    home = folder / "lists"
    home.mkdir()
    (home / "ucf_CLIP_rgb.csv").write_text("\n".join(train) + "\n")
    (home / "ucf_CLIP_rgbtest.csv").write_text("\n".join(test) + "\n")
    (home / "Temporal_Anomaly_Annotation.txt").write_text("\n".join(truth) + "\n")
    np.save(folder / "gt_ucf.npy", np.concatenate(gt).astype(np.float32))
    return home, features, folder / "gt_ucf.npy"


def test_train_score_and_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, features, gt = lists(tmp_path)
    told = [str(home), SMALL, "--features", str(features), "--gt", str(gt), "--out", str(tmp_path / "runs")]
    assert main([*told, *FLAGS]) == 0
    head, _, row = capsys.readouterr().out.strip().splitlines()[-3:]
    cells = dict(zip((c.strip() for c in head.split("|")), (c.strip() for c in row.split("|")), strict=True))
    # The annotation and the labels of frames say the same here.
    assert cells["AUC"] == cells["AUC of gt"] and cells["AP"] == cells["AP of gt"]
    assert float(cells["AUC"].split()[0]) > 0.6
    assert len(list((tmp_path / "runs").rglob("scores/*.npz"))) == 8
    # It goes on where it was: nothing is left to train.
    assert main([*told, *FLAGS]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == row


def test_videos_are_scored_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Specifications of MIL ranking and AFR, "Inference": 32 segments, painted; levels interpolated to frames. Every
    other head reads all snippets of a video at once."""
    home, features, _ = lists(tmp_path)
    asked: list[Scoring] = []

    def spy(saved: SavedHead, videos: list[WeakVideo], out: Path, scoring: Scoring) -> list[Path]:
        asked.append(scoring)
        return predict(saved, videos, out, scoring)

    monkeypatch.setattr("training.temporal.papers.predict", spy)
    rows = [as_row(name) for name in ("mil_ranking", "afr", "clip_tsa")]
    told = [str(home), *rows, "--features", str(features), "--out", str(tmp_path / "runs")]
    flags = ["--", "--steps", "2", "--every", "2", "--normal", "2", "--anomalous", "2", "--length", "8"]
    assert main([*told, *flags]) == 0
    assert [(s.segments, s.frames) for s in asked] == [(32, False), (0, True), (0, False)]
    assert all(s.block > 10_000 for s in asked)
    sizes = [np.load(path)["scores"].size for path in sorted((tmp_path / "runs").rglob("Abuse100_x264.npz"))]
    assert sorted(sizes) == [9, 9, 9 * 16]


def as_row(name: str) -> str:
    """A head and its small settings as they are written on the command line."""
    settings = {k: ",".join(map(str, v)) if isinstance(v, tuple) else v for k, v in SMALL_SETTINGS[name].items()}
    return " ".join([name, *(f"{k}={v}" for k, v in settings.items())])


def test_every_head_is_trained_scored_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, features, gt = lists(tmp_path)
    rows = [as_row(name) for name in HEADS]
    told = [str(home), *rows, "--features", str(features), "--gt", str(gt), "--seeds", "0"]
    quick = [
        "--",
        "--steps",
        "2",
        "--every",
        "2",
        "--normal",
        "2",
        "--anomalous",
        "2",
        "--length",
        "8",
        "--text",
        "random",
    ]
    assert main([*told, "--out", str(tmp_path / "runs"), *quick]) == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(HEADS)
    for row, line in zip(rows, table[2:], strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == row and all(0 <= float(cell.split()[0]) <= 100 for cell in cells[1:] if cell != "-")


def xd_lists(folder: Path) -> tuple[Path, Path]:
    """A small XD-Violence: 12 training videos, half of them violent (one of two kinds), one crop of five; 6 to test."""
    dice, features, home = np.random.default_rng(0), folder / "features", folder / "lists"
    home.mkdir()
    features.mkdir()
    truth: list[str] = []

    def put(n: int, odd: bool) -> list[str]:
        code = ("B1-0-0", "B2-G-0")[n // 2 % 2] if odd else "A"
        name = f"Film.{n}__#00-01-0{n % 10}_00-02-0{n % 10}_label_{code}"
        for crop in range(5):
            rows = dice.normal(size=(9, WIDTH)).astype(np.float16)
            rows[3:6] += 2 * odd
            np.save(features / f"{name}__{crop}.npy", rows)
        if odd and n >= 12:
            truth.append(f"{name} 48 96")
        return [f"/elsewhere/{name}__{crop}.npy,{code}" for crop in range(5)]

    train = [line for n in range(12) for line in put(n, n % 2 == 0)]
    test = [line for n in range(12, 18) for line in put(n, n % 2 == 0)[:1]]
    (home / "xd_CLIP_rgb.csv").write_text("\n".join(["path,label", *train]) + "\n")
    (home / "xd_CLIP_rgbtest.csv").write_text("\n".join(["path,label", *test]) + "\n")
    (home / "annotations.txt").write_text("\n".join(truth) + "\n")
    return home, features


def test_the_lists_of_xd_violence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, features = xd_lists(tmp_path)
    told = [
        str(home),
        SMALL,
        as_row("vadclip"),
        "--features",
        str(features),
        "--out",
        str(tmp_path / "runs"),
        "--seeds",
        "0",
    ]
    assert main([*told, *FLAGS, "--text", "random"]) == 0
    head, _, *rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    named = [
        dict(zip((c.strip() for c in head.split("|")), (c.strip() for c in r.split("|")), strict=True)) for r in rows
    ]
    # Of the 54 snippets to test on nine are anomalous.
    assert len(named) == 2 and float(named[0]["AUC"].split()[0]) > 0.8 and float(named[0]["AP"].split()[0]) > 2 * 9 / 54
    assert len(list((tmp_path / "runs").rglob("scores/*.npz"))) == 2 * 6


def test_other_lists_and_labels_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"expected ucf_CLIP_rgb\.csv or xd_CLIP_rgb\.csv"):
        set_of(tmp_path)
    (tmp_path / "xd_CLIP_rgb.csv").write_text("path,label\n")
    with pytest.raises(ValueError, match=r"without xd_CLIP_rgbtest\.csv"):
        set_of(tmp_path)
    assert main([str(tmp_path), "--features", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "xd_CLIP_rgbtest.csv" in capsys.readouterr().err
    own = {"a": Prediction(np.array([0.1, 0.9]))}
    found = against_frames(own, ["a"], np.repeat([0, 1], 16))
    assert found == {"AUC of gt": 1.0, "AP of gt": 1.0}
    with pytest.raises(ValueError, match=r"expected \(32,\)"):
        against_frames(own, ["a"], np.zeros(31))
