"""SAM on tiny random models of the real classes, through the user's path; and when its masks are believed."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sam_fakes import Told, save_hub_sam, tiny_sam

from heatmap.masks import of_runs, to_runs
from heatmap.regions import Region, extract_regions
from heatmap.sam import Agreement, SamError, agree, convert, open_segmenter, refine

pytest.importorskip("segment_anything")

SIZE = (64, 48)
FRAME = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
PROMPTS = [((10.0, 5.0, 40.0, 30.0), (20.0, 20.0)), ((10.0, 5.0, 40.0, 30.0), None), (None, (20.0, 20.0))]


def heat() -> np.ndarray:
    """A hot place at columns 16..31, rows 12..27 of the frame, hottest in its middle."""
    grid = np.zeros((12, 16), np.float32)
    grid[3:7, 4:8] = 0.8
    grid[4:6, 5:7] = 1.0
    return grid


def regions() -> list[Region]:
    found = extract_regions(heat(), 1.0, SIZE, 0.5, keep_mask=True)
    assert len(found) == 1
    return found


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[y0:y1, x0:x1] = True
    return mask


# When a mask is believed


def test_a_mask_that_agrees_takes_the_regions_place() -> None:
    (before,) = regions()
    (found,) = refine(Told(block(0, 0, 64, 48), block(18, 13, 30, 26)), FRAME, [before], heat())
    assert found.by == "sam" and found.best is not None and found.best.accepted
    assert found.region.box_xyxy == (18, 13, 29, 25)
    assert (found.region.score, found.region.t_s) == (before.score, 1.0)
    assert found.region.mask is not None and found.region.mask.sum() == 12 * 13
    assert found.region.area == pytest.approx(12 * 13 / (64 * 48))
    assert found.region.centroid_xy == pytest.approx((23.5, 19.0), abs=1.0)


@pytest.mark.parametrize(
    "mask",
    [
        block(0, 0, 64, 48),  # everything
        block(40, 30, 60, 45),  # something else
        block(16, 12, 20, 15),  # a corner of it
        np.zeros((48, 64), bool),
    ],
)
def test_a_mask_that_does_not_agree_leaves_the_region_as_it_was(mask: np.ndarray) -> None:
    (before,) = regions()
    (found,) = refine(Told(mask), FRAME, [before], heat())
    assert found.by == "heat" and found.region is before
    assert found.best is not None and not found.best.accepted


def test_the_rule() -> None:
    assert Agreement(0.3, 0.5, 0.5).accepted
    assert not Agreement(0.29, 1.0, 0.0).accepted
    assert not Agreement(0.9, 0.49, 0.0).accepted
    assert not Agreement(0.9, 1.0, 0.51).accepted
    region, half = block(0, 0, 10, 10), block(0, 0, 10, 5)
    assert agree(half, region, region.astype(np.float32)) == Agreement(0.5, 0.5, 0.0)
    hot = np.where(half, 3.0, 1.0)
    assert agree(half, region, hot).heat == 0.75, "heat counts, not area"
    assert agree(region, region, np.zeros((48, 64))).heat == 1.0
    assert agree(np.zeros_like(region), region, hot) == Agreement(0.0, 0.0, 1.0)


def test_it_is_asked_by_box_and_by_the_hottest_point_in_pixels_of_the_frame() -> None:
    told = Told(block(0, 0, 64, 48).repeat(2, 0).repeat(2, 1))
    large = FRAME.repeat(2, 0).repeat(2, 1)
    refine(told, large, regions(), heat())
    (box, point), (only_box, none), (no_box, only_point) = told.prompts
    assert (none, no_box) == (None, None) and only_box == box and only_point == point
    assert np.allclose(box, (32, 24, 63, 55), atol=4)  # type: ignore[arg-type]
    x, y = point  # type: ignore[misc]
    assert 40 <= x <= 56 and 32 <= y <= 48
    assert len(told.frames) == 1, "a frame is looked at once"


def test_regions_of_a_large_frame_keep_its_pixels() -> None:
    size = (1280, 960)  # masks of regions are smaller than that
    (before,) = extract_regions(heat(), 0.0, size, 0.5, keep_mask=True)
    mask = np.zeros((960, 1280), bool)
    mask[260:520, 360:600] = True
    (found,) = refine(Told(mask), np.zeros((960, 1280, 3), np.uint8), [before], heat())
    assert found.by == "sam"
    assert np.allclose(found.region.box_xyxy, (360, 260, 599, 519), atol=4)


def test_a_region_needs_its_mask() -> None:
    with pytest.raises(ValueError, match="keep_mask"):
        refine(Told(block(0, 0, 9, 9)), FRAME, [replace(regions()[0], mask=None)], heat())
    assert refine(Told(), FRAME, [], heat()) == []


# Weights


def test_the_original_from_its_pickle_to_safetensors_and_back(tmp_path: Path) -> None:
    from segment_anything import SamPredictor

    model = tiny_sam()
    torch.save(model.state_dict(), tmp_path / "sam.pth")
    sizes = convert(tmp_path / "sam.pth", tmp_path / "sam.safetensors")
    assert (sizes["width"], sizes["depth"], sizes["side"], sizes["everywhere"], sizes["window"]) == (16, 2, 64, [1], 3)
    ours, theirs = open_segmenter(tmp_path / "sam.safetensors"), SamPredictor(model)
    ours.set_image(FRAME)
    theirs.set_image(FRAME)
    for box, point in PROMPTS:
        expected, _, _ = theirs.predict(
            point_coords=None if point is None else np.array([point]),
            point_labels=None if point is None else np.array([1]),
            box=None if box is None else np.array(box),
        )
        assert (ours.masks(box, point) == expected).all()
        assert expected.shape == (3, 48, 64) and 0 < expected.mean() < 1


@pytest.mark.parametrize(("name", "width", "depth"), [("vit_b", 768, 12), ("vit_l", 1024, 24), ("vit_h", 1280, 32)])
def test_the_three_published_sizes_are_recognised(name: str, width: int, depth: int) -> None:
    from segment_anything import sam_model_registry

    from heatmap import sam

    with torch.device("meta"):
        model = sam_model_registry[name]()
    sizes = sam.sizes_of(model.state_dict())
    assert (sizes["width"], sizes["depth"], sizes["heads"]) == (width, depth, 16 if width > 768 else 12)
    assert sizes["everywhere"] == [depth * k // 4 - 1 for k in (1, 2, 3, 4)]
    assert (sizes["side"], sizes["patch"], sizes["window"], sizes["out"]) == (1024, 16, 14, 256)
    with torch.device("meta"):
        ours = sam.built(sizes)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize("kind", ["sam", "sam2", "sam2_video"])
def test_a_folder_of_transformers(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save_hub_sam(tmp_path / kind, kind)
    capfd.readouterr()
    segmenter = open_segmenter(folder)
    assert capfd.readouterr() == ("", ""), "it loads without noise"
    segmenter.set_image(FRAME)
    made = [segmenter.masks(*prompt) for prompt in PROMPTS]
    for masks in made:
        assert masks.shape == (3, 48, 64) and masks.dtype == bool
    assert (made[0] != made[1]).any() and (made[1] != made[2]).any(), "prompts count"
    segmenter.set_image(255 - FRAME)
    assert (segmenter.masks(*PROMPTS[0]) != made[0]).any(), "the frame counts"
    (found,) = refine(segmenter, FRAME, regions(), heat())
    assert found.by in ("sam", "heat") and found.best is not None


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch evil-was-here",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_does_things_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"w": Evil()}))
    torch.save({"w": Evil()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(SamError, match="no checkpoint of tensors alone"):
            convert(tmp_path / name, tmp_path / "out.safetensors")
        with pytest.raises(SamError, match=r"pickles are not read; .*tvad models convert-sam"):
            open_segmenter(tmp_path / name)
    assert not (tmp_path / "evil-was-here").exists() and not (tmp_path / "out.safetensors").exists()


def test_what_is_no_sam(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = tiny_sam().state_dict()
    torch.save({"w": torch.zeros(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    for name in ("other.pth", "list.pth", "text.pth", "gone.pth"):
        with pytest.raises(SamError):
            convert(tmp_path / name, tmp_path / "out.safetensors")
    torch.save({k: v for k, v in state.items() if "iou_token" not in k}, tmp_path / "lacks.pth")
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "more.pth")
    for name, key in (("lacks.pth", "iou_token"), ("more.pth", "more")):
        with pytest.raises(SamError, match=key):
            convert(tmp_path / name, tmp_path / "out.safetensors")
    assert [p.name for p in tmp_path.glob("*out*")] == []
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"short")
    for name in ("other.safetensors", "cut.safetensors", "gone.safetensors"):
        with pytest.raises(SamError):
            open_segmenter(tmp_path / name)


def test_folders_that_are_no_sam(tmp_path: Path) -> None:
    with pytest.raises(SamError, match=r"no config\.json"):
        open_segmenter(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(SamError, match="a 'clip' model; masks are made by sam, sam2"):
        open_segmenter(tmp_path)
    folder = save_hub_sam(tmp_path / "sam2", "sam2")
    (folder / "model.safetensors").unlink()
    with pytest.raises(SamError, match="no SAM of transformers can be loaded"):
        open_segmenter(folder)


def test_weights_that_lack_some_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_hub_sam(tmp_path / "sam2", "sam2")
    state = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in state.items() if "iou_token" not in k}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SamError, match=r"weights are missing, 1 of them, the first .*iou_token"):
        open_segmenter(folder)


# Run lengths


@pytest.mark.parametrize("seed", range(5))
def test_runs_there_and_back(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 5)) < seed / 4
    assert (of_runs(to_runs(mask), (5, 7)) == mask).all()


def test_runs_go_down_the_columns_and_begin_with_zeros() -> None:
    assert to_runs(np.array([[0, 1], [0, 1], [1, 1]], bool)) == (2, 4)
    assert to_runs(np.ones((2, 2), bool)) == (0, 4)
    with pytest.raises(ValueError, match="9 pixels"):
        of_runs((1, 2), (3, 3))
    with pytest.raises(ValueError, match="9 pixels"):
        of_runs((-1, 10), (3, 3))
