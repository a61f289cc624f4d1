"""Masks for training out of what the detector found on real footage, shaped by SAM where that agrees with the heat.

    python -m training.datasets.masks VIDEOS... -o FOLDER [--scene FILE] [--sam PATH] [--only-sam]

Writes FOLDER/videos/NAME.mp4 (a link to the video, or a copy) and FOLDER/masks/NAME.npz (key mask, bool (T, H, W), one
a source frame), for `python -m training.datasets.build FOLDER OUT.jsonl --folder-kind masks`. They are labels of a
machine, not truth: to learn from, no good to be measured against.

Next: training/datasets/folders.py
"""

import argparse
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from heatmap.regions import Region, working_size
from heatmap.sam import Segmenter, refine
from tvad.api import analyze
from tvad.evidence import Analysis, TrackBox, write_atomic
from tvad.masks import heat_at, load_segmenter, region_of
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.video import VideoReader

Shapes = tuple[float, np.ndarray, int, int]


@dataclass(frozen=True)
class Made:
    """What was made of a video. shapes: of regions, and by_sam: how many of them are SAM's."""

    name: str
    frames: int
    anomalous: int
    shapes: int
    by_sam: int


def shapes_of(
    analysis: Analysis, video: str | Path, segmenter: Segmenter | None, only_sam: bool = False
) -> Iterator[Shapes]:
    """Of each sampled frame: seconds, the union (h, w) bool of its tracks' shapes at the regions' working size, how
    many shapes there were, and how many of them SAM's. only_sam: no others."""
    evidence, curves = analysis
    size_wh = (evidence.video.width, evidence.video.height)
    width, height = working_size(size_wh)
    boxes: dict[float, list[TrackBox]] = {}
    for track in evidence.tracks:
        for box in track.boxes:
            boxes.setdefault(round(box.t_s, 3), []).append(box)
    fps, start_s, end_s = (evidence.settings.get(name) for name in ("fps", "start_s", "end_s"))
    reader = VideoReader(video, fps, start_s, end_s, max_side=MAX_SIDE_PX)
    for clip in reader:
        for frame, t_s in zip(clip.frames, clip.times_s.tolist(), strict=True):
            union = np.zeros((height, width), bool)
            heat = heat_at(curves, t_s)
            here = boxes.get(round(t_s, 3), [])
            found = [] if heat is None else _shaped(frame, heat, here, size_wh, evidence.threshold, segmenter)
            if only_sam:
                found = [(by, region) for by, region in found if by == "sam"]
            for _, region in found:
                assert region.mask is not None
                union |= region.mask
            yield t_s, union, len(found), sum(by == "sam" for by, _ in found)


def _shaped(
    frame: np.ndarray,
    heat: np.ndarray,
    boxes: Sequence[TrackBox],
    size_wh: tuple[int, int],
    threshold: float,
    segmenter: Segmenter | None,
) -> list[tuple[str, Region]]:
    """Whose shape it is, and the region of each box that stands for something hot."""
    regions = [r for box in boxes if (r := region_of(heat, box, size_wh, threshold)) is not None]
    if segmenter is None:
        return [("heat", region) for region in regions]
    return [(found.by, found.region) for found in refine(segmenter, frame, regions, heat)]


def write_masks(
    analysis: Analysis, video: Path, folder: Path, segmenter: Segmenter | None, only_sam: bool = False
) -> Made:
    """The masks of one video in `folder`, whole or not at all, and a link to it. Memory does not grow with length."""
    evidence, curves = analysis
    size_wh = (evidence.video.width, evidence.video.height)
    made = {"anomalous": 0, "shapes": 0, "by_sam": 0}
    shapes = shapes_of(analysis, video, segmenter, only_sam)

    def write(file: Any) -> None:
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("mask.npy", "w", force_zip64=True) as out,
        ):
            shape = (len(curves.times_s), size_wh[1], size_wh[0])
            np.lib.format.write_array_header_1_0(out, {"descr": "|b1", "fortran_order": False, "shape": shape})
            for mask in _every_frame(curves.times_s, shapes, made, size_wh):
                made["anomalous"] += bool(mask.any())
                out.write(mask.tobytes())

    write_atomic(folder / "masks" / f"{video.stem}.npz", write)
    _link(video, folder / "videos" / f"{video.stem}{video.suffix}")
    return Made(video.stem, len(curves.times_s), **made)


def _every_frame(
    times_s: np.ndarray, shapes: Iterator[Shapes], made: dict[str, int], size_wh: tuple[int, int]
) -> Iterator[np.ndarray]:
    """A mask (H, W) of each source frame: that of the sampled frame nearest to it. Counts shapes in `made`."""
    now, after = next(shapes, None), next(shapes, None)
    fresh = True
    for t_s in times_s.tolist():
        while now and after and abs(after[0] - t_s) < abs(now[0] - t_s):
            now, after, fresh = after, next(shapes, None), True
        if now is None:
            yield np.zeros(size_wh[::-1], bool)
            continue
        if fresh:
            made["shapes"] += now[2]
            made["by_sam"] += now[3]
            large = cv2.resize(now[1].astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
            fresh = False
        yield large


def _link(video: Path, target: Path) -> None:
    """`target` as another name of the video, or a copy of it where the disk cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(video, target)
    except OSError:
        shutil.copyfile(video, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--scene", help="scene file of the camera, from tvad calibrate")
    parser.add_argument("--sam", help="SAM's weights, a file or a folder")
    parser.add_argument("--only-sam", action="store_true", help="leave out shapes that are the heat's alone")
    given = parser.parse_args()
    if given.only_sam and not given.sam:
        parser.error("--only-sam needs --sam PATH")
    segmenter = load_segmenter(given.sam, "cpu") if given.sam else None
    for video in given.videos:
        made = write_masks(analyze(video, Settings(scene=given.scene)), video, given.out, segmenter, given.only_sam)
        said = f"{made.anomalous} of {made.frames} frames with a mask, {made.by_sam} of {made.shapes} shapes SAM's"
        print(f"{made.name}: {said}", flush=True)


if __name__ == "__main__":
    main()
