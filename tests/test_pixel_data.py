"""Ped2's two layouts, written small and read back; the real one where it is there."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from drawn_truths import clip, walk
from PIL import Image

from training.pixel_data import DataError, GroundTruthClip, ped2, synthetic
from training.region_metrics import tracks_of_masks

MASKS = np.random.default_rng(0).random((7, 6, 9)) < 0.05
MASKS[2] = False
LABELS = MASKS.any(axis=(1, 2)).astype(int).tolist()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """The layout with a video and an npz a clip; the videos are never opened."""
    for name in ("train/01.mp4", "test/01.mp4", "test/02.mp4", "test/._01.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "masks").mkdir()
    np.savez_compressed(tmp_path / "masks/01.npz", mask=MASKS)
    np.savez(tmp_path / "masks/02.npz", mask=np.zeros((3, 6, 9), bool))
    return tmp_path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """The layout as distributed."""
    truth = tmp_path / "Test/Test001_gt"
    truth.mkdir(parents=True)
    (tmp_path / "Test/Test001").mkdir()
    (tmp_path / "Train/Train001").mkdir(parents=True)
    for n, mask in enumerate(MASKS):
        Image.fromarray(mask.astype(np.uint8) * 255).save(truth / f"frame{n:03d}.bmp")
    (truth / "._frame000.bmp").write_bytes(b"not a picture")
    return tmp_path


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_masks_come_back_in_pieces(videos: Path, chunk: int) -> None:
    clip = next(iter(ped2(videos)))
    pieces = list(clip.masks(chunk))
    assert [len(p) for p in pieces[:-1]] == [chunk] * (len(pieces) - 1)
    assert np.array_equal(np.concatenate(pieces), MASKS) and pieces[0].dtype == bool


def test_clips_of_the_video_layout(videos: Path) -> None:
    first, second = ped2(videos)
    assert (first.name, first.video) == ("01", videos / "test/01.mp4")
    assert first.frame_labels().tolist() == LABELS
    assert second.frame_labels(3).tolist() == [0, 0, 0]
    assert [clip.name for clip in ped2(videos, clips=["02"])] == ["02"]
    (train,) = ped2(videos, "train")
    assert train.frame_labels(5).tolist() == [0] * 5 and list(train.masks()) == []
    with pytest.raises(ValueError, match="give n_frames"):
        train.frame_labels()


def test_clips_of_the_distributed_layout(folders: Path) -> None:
    (clip,) = ped2(folders)
    assert (clip.name, clip.video) == ("Test001", folders / "Test/Test001")
    assert np.array_equal(np.concatenate(list(clip.masks(4))), MASKS)
    assert clip.frame_labels(7).tolist() == LABELS
    assert [clip.name for clip in ped2(folders, "train")] == ["Train001"]


def test_touching_things_of_synthetic_clips_are_tracks_of_their_own(tmp_path: Path) -> None:
    ids = np.zeros((12, 240, 320), np.uint8)
    ids[2:, 50:80, 40:60], ids[4:, 50:80, 60:90], ids[:, 200:220, 10:30] = 1, 2, 3
    times = np.arange(12) / 12.0
    first, second = (walk(n, start_s=start, end_s=11 / 12) for n, start in ((1, 2 / 12), (2, 4 / 12)))
    clip(first, second, walk(3, anomaly=None)).save(tmp_path / "0001.truth.json")
    (tmp_path / "0001.mp4").touch()
    np.savez_compressed(tmp_path / "0001.ids.npz", ids=ids, times_s=times)
    (found,) = synthetic(tmp_path)
    tracks = tracks_of_masks(found.instances())
    assert [sorted(track) for track in tracks] == [list(range(2, 12)), list(range(4, 12))]
    assert tracks[1][7] == (60.0, 50.0, 89.0, 79.0)
    assert len(tracks_of_masks(mask for piece in found.masks() for mask in piece)) == 1  # one component


def test_without_ids_masks_are_the_instances(videos: Path) -> None:
    clip = next(iter(ped2(videos)))
    assert np.array_equal(np.stack(list(clip.instances())), MASKS)


def test_what_is_missing_is_named(videos: Path) -> None:
    with pytest.raises(DataError, match=r"no clips \['09'\].*known: 01, 02"):
        ped2(videos, clips=["01", "09"])
    with pytest.raises(DataError, match=r"no Ped2 in .*nowhere"):
        ped2(videos / "nowhere")
    with pytest.raises(ValueError, match="known: 'train', 'test'"):
        ped2(videos, "val")
    (videos / "masks/02.npz").unlink()
    with pytest.raises(DataError, match=r"02.mp4 has no masks"):
        ped2(videos)


def test_a_decoder_that_lost_frames_is_noticed(videos: Path) -> None:
    with pytest.raises(DataError, match="has 7 masks, but 6 frames were decoded"):
        next(iter(ped2(videos))).frame_labels(6)


def clip_of(path: Path) -> GroundTruthClip:
    return GroundTruthClip("01", Path("01.mp4"), path)


def test_damaged_masks_are_data_errors(tmp_path: Path) -> None:
    path = tmp_path / "01.npz"
    np.savez(path, other=MASKS)
    with pytest.raises(DataError, match="array 'mask'"):
        clip_of(path).frame_labels()
    np.savez(path, mask=MASKS.astype(np.uint8))
    with pytest.raises(DataError, match=r"'mask' is uint8 \(7, 6, 9\)"):
        clip_of(path).frame_labels()
    np.savez_compressed(path, mask=np.random.default_rng(1).random((50, 30, 30)) < 0.5)
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        clip_of(path).frame_labels()
    path.write_text("no archive")
    with pytest.raises(DataError, match="cannot be read"):
        clip_of(path).frame_labels()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mask.npy", b"no array")
    with pytest.raises(DataError, match="no header"):
        clip_of(path).frame_labels()


def test_masks_that_end_early_are_data_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASKS)
    with zipfile.ZipFile(tmp_path / "01.npz", "w") as archive:
        archive.writestr("mask.npy", (tmp_path / "mask.npy").read_bytes()[:-60])
    with pytest.raises(DataError, match="ends within frame 5 of 7"):
        clip_of(tmp_path / "01.npz").frame_labels()


def test_damaged_pictures_are_data_errors(folders: Path) -> None:
    truth = folders / "Test/Test001_gt"
    (truth / "frame003.bmp").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"frame003.bmp: not a picture"):
        clip_of(truth).frame_labels()
    Image.new("L", (4, 4)).save(truth / "frame003.bmp")
    with pytest.raises(DataError, match="differ in size"):
        clip_of(truth).frame_labels()
    with pytest.raises(DataError, match="holds no masks"):
        clip_of(folders / "Train/Train001").frame_labels()


@pytest.mark.data
def test_the_real_clips(real_data: Path) -> None:
    clips = list(ped2(real_data / "ped2", clips=["01", "03"]))
    labels = [clip.frame_labels() for clip in clips]
    assert [(y.size, int(y.sum())) for y in labels] == [(180, 120), (150, 146)]
    tracks = tracks_of_masks(mask for piece in clips[1].masks() for mask in piece)
    assert [(min(t), max(t)) for t in tracks] == [(0, 145), (2, 125)]
    assert len(list(ped2(real_data / "ped2", "train"))) == 16


def test_masks_of_synthetic_clips_are_what_is_anomalous_at_a_moment(tmp_path: Path) -> None:
    ids = np.zeros((6, 4, 5), np.uint8)
    ids[:, 0, 0], ids[:, 1:3, 2] = 1, 7
    target = walk(7, "cyclist", "cycling", anomalous_s=((0.15, 0.35),))
    for name, targets in (("0003", (target,)), ("0001", ())):
        np.savez(tmp_path / f"{name}.ids.npz", ids=ids, times_s=np.arange(6) / 10)
        clip(*targets).save(tmp_path / f"{name}.truth.json")
        (tmp_path / f"{name}.mp4").touch()
    normal, anomalous = synthetic(tmp_path)
    assert (normal.name, anomalous.name) == ("0001", "0003")
    masks = np.concatenate(list(anomalous.masks(4)))
    assert masks.any((1, 2)).tolist() == [False, False, True, True, False, False]
    assert np.array_equal(masks[2], ids[2] == 7)
    assert not np.concatenate(list(normal.masks())).any()
    assert [c.name for c in synthetic(tmp_path, ["0003"])] == ["0003"]
    with pytest.raises(DataError, match="known: 0001, 0003"):
        synthetic(tmp_path, ["9"])
    (tmp_path / "0001.truth.json").unlink()
    with pytest.raises(DataError, match=r"0001\.truth\.json"):
        synthetic(tmp_path)
    with pytest.raises(DataError, match="tvad synth"):
        synthetic(tmp_path / "none")
