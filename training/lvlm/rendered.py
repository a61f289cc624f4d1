"""Drawn clips through the shipped detector: what the region tokens are trained on after the simulated scenes.

    python -m training.lvlm.rendered prepare ANALYSED --split train --first 0 --count 400 [--assets FOLDER] [--takes 2]
    python -m training.lvlm.rendered pack ANALYSED PACK [--slices 6 --pictures 2 --slots 4]
    python -m training.lvlm.rendered looks ANALYSED LOOKS.npz
    python -m training.lvlm.rendered scores ANALYSED ... [--split validation]      how the detector ranks them

With --takes the detector is calibrated on ordinary takes of each clip's camera. ANALYSED/SPLIT/SEED/ holds truth.json,
evidence.json and scores.npz of a clip; what is there is not made again, so that it can be stopped at any time. PACK
holds the views of all of them, in the mirror too where they are for training.

Next: training/lvlm/matched.py
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, overload

import numpy as np

from training.datasets.truth import ClipTruth
from training.lvlm.data import Example, told
from training.lvlm.matched import knowable, match, mirrored_curves, mirrored_evidence, mirrored_truth, shown
from training.lvlm.tellable import as_followed
from training.metrics import auc
from tvad.cache import drop_abandoned
from tvad.calibrate import calibrate
from tvad.detector import Detector
from tvad.evidence import Curves, Evidence, write_atomic
from tvad.lvlm.view import View, ViewConfig, view_of
from tvad.settings import Settings

SPLITS = ("train", "validation", "test")
FILES = ("truth.json", "evidence.json", "scores.npz")


def prepare(seeds: Sequence[int], out: Path, split: str = "train", takes: int = 0, **wanted: Any) -> Iterator[Path]:
    """Draw and analyse the clips of `seeds`, one after the other; each folder as soon as it is there. A seed that gives
    no clip is left out, with a line on stderr.

    takes: how many ordinary takes of its camera each clip is calibrated on, 0 for none. wanted: arguments of make_clip
    besides seed and split.
    """
    from training.datasets.synthetic.clip import make_clip, write_clip

    detector: Detector | None = None
    root = out / split
    root.mkdir(parents=True, exist_ok=True)
    drop_abandoned(root)
    for seed in seeds:
        target = root / f"{seed:06d}"
        if not target.is_dir():
            try:
                clip = make_clip(seed, split=split, **wanted)
            except ValueError as error:
                print(error, file=sys.stderr, flush=True)
                continue
            unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
            try:
                truth = write_clip(clip, unfinished / "clip")
                video = next((unfinished / "clip").glob("*.mp4"))
                if takes or detector is None:
                    scene = _scene(clip, takes, unfinished / "clip", wanted.get("assets"))
                    detector = Detector.from_settings(Settings(scene=scene))
                evidence, curves = detector.analyze(video)
                truth.save(unfinished / FILES[0])
                evidence.save(unfinished / FILES[1])
                curves.save(unfinished / FILES[2])
                shutil.rmtree(unfinished / "clip")
                unfinished.chmod(0o755)
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        yield target


def _scene(clip: Any, takes: int, folder: Path, assets: Any) -> str | None:
    """A scene file from ordinary takes of a clip's camera, made in `folder`; None without takes."""
    from training.datasets.synthetic.clip import ordinary_take, write_clip

    if not takes:
        return None
    for number in range(1, takes + 1):
        write_clip(ordinary_take(clip, number, assets=assets), folder / "ordinary")
    path = folder / "scene.safetensors"
    calibrate(sorted((folder / "ordinary").glob("*.mp4")), path, Settings())
    return str(path)


def analysed(folder: Path, split: str) -> Iterator[tuple[ClipTruth, Evidence, Curves]]:
    """What `prepare` made, in order of the seeds."""
    for clip in sorted(p for p in (folder / split).glob("[0-9]*") if p.is_dir()):
        yield ClipTruth.load(clip / FILES[0]), Evidence.load(clip / FILES[1]), Curves.load(clip / FILES[2])


def pack(folders: Sequence[Path], out: Path, config: ViewConfig) -> dict[str, int]:
    """Views and truths of analysed clips in one folder; how many of each split. In training and validation, what the
    detector saw nothing of is not asked for, and things move as they were followed; in the test all is as it was."""
    from safetensors.numpy import save

    counts = {}
    for split in SPLITS:
        tensors: dict[str, np.ndarray] = {}
        lines: list[str] = []
        for folder in folders:
            for truth, evidence, curves in analysed(folder, split):
                known = truth if split == "test" else knowable(truth, evidence, curves)
                for truth_, view, traced in _seen(known, evidence, curves, config, split):
                    name = f"{len(lines):06d}"
                    tensors |= {f"{name}.{k}": np.ascontiguousarray(x, np.float16) for k, x in view.arrays().items()}
                    lines.append(json.dumps({"traced": traced, "truth": asdict(truth_)}, allow_nan=False))
        _put(out / f"{split}.safetensors", save(tensors))
        _put(out / f"{split}.jsonl", "".join(f"{line}\n" for line in lines).encode())
        counts[split] = len(lines)
    _put(out / "config.json", (json.dumps({"view": asdict(config), "counts": counts}) + "\n").encode())
    return counts


def _put(path: Path, data: bytes) -> None:
    write_atomic(path, lambda file: file.write(data))


def _seen(
    truth: ClipTruth | None, evidence: Evidence, curves: Curves, config: ViewConfig, split: str
) -> Iterator[Example]:
    if truth is None:
        return
    traced = True
    if split != "test":
        matched = match(truth, evidence, curves)
        truth, traced = told(truth, set(matched.values()))
        truth = as_followed(truth, shown(evidence, curves).tracks, matched)
    yield Example(truth, view_of(evidence, curves, None, config), traced)
    if split == "train":
        turned = mirrored_evidence(evidence), mirrored_curves(curves)
        yield Example(mirrored_truth(truth), view_of(*turned, None, config), traced)


class Pack(Sequence[Example]):
    """The examples of a split, read when they are asked for."""

    def __init__(self, folder: Path, split: str) -> None:
        from safetensors import safe_open

        self._tensors = safe_open(folder / f"{split}.safetensors", framework="numpy")
        self._names: dict[str, list[str]] = {}
        for name in self._tensors.keys():  # noqa: SIM118 - not a dict
            self._names.setdefault(name.split(".")[0], []).append(name)
        text = (folder / f"{split}.jsonl").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        self._about = [(ClipTruth.from_dict(line["truth"]), bool(line["traced"])) for line in lines]

    def __len__(self) -> int:
        return len(self._about)

    @overload
    def __getitem__(self, number: int) -> Example: ...
    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...
    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        names = self._names[f"{range(len(self))[number]:06d}"]
        view = View.from_arrays({n.split(".", 1)[1]: self._tensors.get_tensor(n) for n in names})
        truth, traced = self._about[number]
        return Example(truth, view, traced)


def load_pack(folder: Path, split: str, view: ViewConfig) -> Pack:
    """The examples of a split in a pack. ValueError when its views are of another configuration."""
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if about["view"] != json.loads(json.dumps(asdict(view))):
        raise ValueError(
            f"{folder} has views of {about['view']}, wanted is {asdict(view)}; "
            "pack the clips again: python -m training.lvlm.rendered pack"
        )
    return Pack(folder, split)


def looks(folder: Path, split: str = "train") -> dict[str, np.ndarray]:
    """Noun -> (n, 1000) float16 logits that the classifier gave to tracks of such a thing."""
    found: dict[str, list[np.ndarray]] = {}
    for truth, evidence, curves in analysed(folder, split):
        nouns = {t.id: t.noun for t in truth.targets}
        for row, track in enumerate(shown(evidence, curves).tracks):
            target = match(truth, evidence, curves).get(track.id)
            if target is not None and curves.sight is not None and curves.sight.looks[row].any():
                found.setdefault(nouns[target], []).append(curves.sight.looks[row])
    return {noun: np.stack(rows) for noun, rows in found.items()}


def scores(folders: Sequence[Path], split: str) -> str:
    """A line: how many analysed clips are anomalous, in how many an event was found, and how the highest score ranks
    them. ValueError where there are not both kinds."""
    seen = [(t.has_anomaly, e.has_anomaly, c.scores.max()) for f in folders for t, e, c in analysed(f, split)]
    truth, found, peaks = (np.array(column) for column in zip(*seen, strict=True)) if seen else [np.zeros(0, bool)] * 3
    if not truth.any() or truth.all():
        raise ValueError(
            f"{len(truth)} clips of {split} in {[str(f) for f in folders]}; anomalous and ordinary are needed"
        )
    return (
        f"{split}: {truth.sum()} anomalous, {(~truth).sum()} ordinary clips; events in {found[truth].mean():.2f} and "
        f"{found[~truth].mean():.2f} of them; AUC of the highest score {auc(peaks, truth):.3f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("prepare")
    make.add_argument("out", type=Path)
    make.add_argument("--split", choices=SPLITS, default="train")
    make.add_argument("--first", type=int, default=0)
    make.add_argument("--count", type=int, default=100)
    make.add_argument("--seconds", type=float, default=8.0)
    make.add_argument("--fps", type=float, default=10.0)
    make.add_argument("--assets", type=Path)
    make.add_argument("--takes", type=int, default=0, help="ordinary takes of each camera to calibrate on")
    put = verbs.add_parser("pack")
    put.add_argument("analysed", type=Path, nargs="+")
    put.add_argument("out", type=Path)
    for name in ("slices", "pictures", "slots"):
        put.add_argument(f"--{name}", type=int, default=getattr(ViewConfig(), name))
    keep = verbs.add_parser("looks")
    keep.add_argument("analysed", type=Path)
    keep.add_argument("out", type=Path)
    rank = verbs.add_parser("scores")
    rank.add_argument("analysed", type=Path, nargs="+")
    rank.add_argument("--split", choices=SPLITS, default="validation")
    given = parser.parse_args(arguments)
    if given.verb == "scores":
        print(scores(given.analysed, given.split))
    elif given.verb == "prepare":
        _prepare(given)
    elif given.verb == "pack":
        config = ViewConfig(slices=given.slices, pictures=given.pictures, slots=given.slots)
        print(json.dumps(pack(given.analysed, given.out, config)))
    else:
        found = looks(given.analysed)
        write_atomic(given.out, lambda file: np.savez_compressed(file, **found))  # type: ignore[arg-type]
        print(json.dumps({noun: len(rows) for noun, rows in found.items()}))
    return 0


def _prepare(given: argparse.Namespace) -> None:
    wanted: dict[str, Any] = {"seconds": given.seconds, "fps": given.fps}
    if given.assets is not None:
        from training.datasets.synthetic.assets import Assets

        wanted["assets"] = Assets.load(given.assets)
    began = time.monotonic()
    seeds = range(given.first, given.first + given.count)
    for n, path in enumerate(prepare(seeds, given.out, given.split, given.takes, **wanted)):
        left_s = (time.monotonic() - began) / (n + 1) * (given.count - n - 1)
        print(f"{path}  {n + 1}/{given.count}, {left_s / 60:.1f} min left", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
