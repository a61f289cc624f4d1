"""Archives with the features of many videos: unpacked by label, whole, and never outside their folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporal_fakes import QUICK, SMALL, quiet

from training.datasets.unpacked import main, unpack
from training.datasets.weak import class_names, read_videos, with_truth
from training.temporal.batches import FeatureStore
from training.temporal.evaluate import score_video
from training.temporal.loop import Plan, fit
from tvad.temporal.registry import HEADS

TRUTH = "Abuse001_x264  Abuse  165  240  -1  -1\nNormal_Videos_003_x264  Normal  -1  -1  -1  -1\n"


def given(folder: Path, truth: str = TRUTH, **arrays: np.ndarray) -> tuple[Path, Path]:
    np.savez_compressed(folder / "some.npz", **arrays)
    (folder / "truth.txt").write_text(truth)
    return folder / "some.npz", folder / "truth.txt"


def test_videos_come_into_folders_by_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd, calm = np.full((4, 3), 0.5, np.float32), np.zeros((2, 5, 3), np.float16)
    archive, truth = given(tmp_path, Abuse001_x264=odd, Normal_Videos_003_x264=calm)
    out = tmp_path / "out"
    assert main([str(archive), str(out), "--truth", str(truth)]) == 0
    assert "2 videos" in capsys.readouterr().out
    videos = {v.name: v for v in read_videos(out)}
    assert videos["Abuse001_x264"].labels == ("Abuse",) and videos["Normal_Videos_003_x264"].labels == ()
    np.testing.assert_array_equal(np.load(out / "Abuse" / "Abuse001_x264.npy"), odd)
    np.testing.assert_array_equal(np.load(out / "normal" / "Normal_Videos_003_x264.npy"), calm)
    before = (out / "Abuse" / "Abuse001_x264.npy").stat().st_mtime_ns
    unpack(archive, truth, out)
    assert (out / "Abuse" / "Abuse001_x264.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"Arson001_x264": np.zeros((2, 3), np.float32)}, r"truth\.txt does not say what Arson001_x264"),
        ({"Abuse001_x264": np.zeros(3, np.float32)}, r"Abuse001_x264 has shape \(3,\)"),
        ({"Abuse001_x264": np.zeros((2, 3), np.int32)}, r"Abuse001_x264 has shape"),
        ({"Abuse001_x264": np.array([{}], object)}, r"is no \.npz of features"),
    ],
)
def test_wrong_archives_are_named(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, truth = given(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        unpack(archive, truth, tmp_path / "out")
    assert main([str(archive), str(tmp_path / "out"), "--truth", str(truth)]) == 2
    assert capsys.readouterr().err.startswith("error: ") and not (tmp_path / "out").exists()


def test_no_name_leaves_the_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", **{"../beside": np.zeros((2, 3), np.float32)})
    (tmp_path / "truth.jsonl").write_text('{"video": "../beside", "label": "fire"}\n')
    with pytest.raises(ValueError, match="beside"):
        unpack(tmp_path / "some.npz", tmp_path / "truth.jsonl", tmp_path / "out")
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize("text", ["no archive", ""])
def test_no_archive_at_all(text: str, tmp_path: Path) -> None:
    (tmp_path / "some.npz").write_text(text)
    (tmp_path / "truth.txt").write_text(TRUTH)
    with pytest.raises(ValueError, match=r"no \.npz"):
        unpack(tmp_path / "some.npz", tmp_path / "truth.txt", tmp_path / "out")


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_head_runs_on_the_real_c3d_features(name: str, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ucf_crime"
    truth = folder / "lists" / "Temporal_Anomaly_Annotation.txt"
    assert len(unpack(folder / "c3d_fc6_32x4096.npz", truth, tmp_path / "F")) == 10
    videos = with_truth(read_videos(tmp_path / "F"), truth)
    assert sum(not v.labels for v in videos) == 2 and all(v.segments is not None for v in videos)
    assert class_names(videos) == ("normal", "Explosion", "RoadAccidents", "Shooting", "Shoplifting")
    store = FeatureStore(videos)
    assert store.width == 4096
    plan = Plan(name, SMALL[name], "random", {"columns": (), "project": 16})
    config = replace(QUICK, steps=2, every=2, normal=2, anomalous=4, length=8, lr=1e-3)
    head = fit(plan, store, None, tmp_path / "run", config, quiet).head
    for video in videos[:3]:
        found = score_video(head, store.whole(video))
        assert found.scores.shape == (32,) and np.isfinite(found.scores).all()
        assert found.scores.min() >= 0 and found.scores.max() <= 1
        if found.class_probs is not None:
            assert found.class_probs.shape == (32, 5)
