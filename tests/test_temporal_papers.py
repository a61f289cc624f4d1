"""The papers' protocol in one command, on lists in the published layout."""

from pathlib import Path

import numpy as np
import pytest

from training.score_files import Prediction
from training.temporal.papers import against_frames, main, set_of

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
