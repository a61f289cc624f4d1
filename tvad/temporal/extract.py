"""Videos to snippet features, one file a video: what temporal heads are trained on and asked about.

    OUT/NAME.safetensors    features (n, D) float16, a row for 16 frames of the source; what made it, in the header
    OUT/NAME.npy            or the same numbers alone, and what made them in OUT/NAME.json

A file that is there and was made in the same way is left as it is, so that an extraction can be stopped at any time.

Next: tvad/temporal/base.py
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tvad.encoder import Encoder, input_size
from tvad.evidence import write_atomic
from tvad.people import PeopleFinder, PeopleLook
from tvad.settings import MAX_SIDE_PX
from tvad.temporal.constants import SNIPPET
from tvad.temporal.snippets import SnippetStream, whole
from tvad.video import VideoError, VideoReader, probe
from tvad.weights import MissingWeights

FORMATS = ("safetensors", "npy")
RATE = 8.0  # sampled frames a second, as the detector looks at a video
VERSION = 3  # of the numbers; another one is extracted anew


@dataclass(frozen=True)
class About:
    """What a file of features is of, and what made it. fps, frames: of the source."""

    video: str
    made_by: str
    fps: float
    frames: int
    snippet: int = SNIPPET


class Extractor(Protocol):
    """made_by: a name that says all that changes the numbers."""

    made_by: str

    def __call__(self, path: Path) -> np.ndarray: ...


class MiniExtractor:
    """Features of the preset `mini`: (n, DIM), see snippets.py."""

    made_by = f"mini {VERSION}, {RATE:g} frames/s"

    def __init__(self, threads: int | None = None) -> None:
        self.encoder, self.finder = Encoder(threads), PeopleFinder(threads=threads)

    def __call__(self, path: Path) -> np.ndarray:
        """VideoError for what cannot be read."""
        stream = SnippetStream(probe(path).fps)
        found: list[np.ndarray] = []
        reader = VideoReader(path, RATE, max_side=MAX_SIDE_PX, between=input_size)
        look = PeopleLook(self.finder)
        for features in self.encoder.features(reader, flow=True):
            found += stream.push(look(features))
        return whole([*found, *stream.finish()])


class TowerExtractor:
    """Image features of a model in a local folder: (n, D), of the middle frame of each snippet, not brought to unit
    length (as VadCLIP's features). CLIP and SigLIP give their image embeddings, any other vision model of transformers
    or timm what it pools a picture into."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """MissingWeights where there is no model, ValueError for one that is not of pictures, or not whole."""
        from transformers import AutoConfig, AutoImageProcessor, AutoModel

        if not (folder / "config.json").is_file():
            raise MissingWeights(f"no model in {folder}; give a folder as save_pretrained writes it")
        try:
            raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            kind = str(raw.get("model_type") or raw["architecture"])  # timm's have no type
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            if args := getattr(config, "model_args", None):  # of a classifier of timm, whose last layer is not wanted
                config.model_args = {key: value for key, value in args.items() if key != "num_classes"}
            model, about = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, output_loading_info=True
            )
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            line = " ".join(str(error).split())[:200]
            raise ValueError(f"{folder}: no vision model that can be read ({line}); see tvad extract --help") from None
        # A classifier's folder has no pooler, and one that was drawn at random would tell nothing.
        missing = sorted(about["missing_keys"])
        self.pooled = not any("pooler" in key for key in missing)
        if missing := [key for key in missing if "pooler" not in key]:
            raise ValueError(f"{folder}: the weights lack {missing[0]}; give a whole model")
        self.model, self.device = model.to(device).eval(), device
        self.made_by = f"{kind} {folder.name}"

    def __call__(self, path: Path) -> np.ndarray:
        import torch

        rows: list[np.ndarray] = []
        for frames in middles(path):
            pixels = self.processor(images=list(frames), return_tensors="pt")["pixel_values"].to(self.device)
            with torch.no_grad():
                rows.append(self._features(pixels).float().cpu().numpy())
        return whole(list(np.concatenate(rows))) if rows else whole([])

    def _features(self, pixels: Any) -> Any:
        """(m, D) of pictures (m, 3, H, W)."""
        embed = getattr(self.model, "get_image_features", None)
        found = self.model(pixel_values=pixels) if embed is None else embed(pixel_values=pixels)
        # transformers 5 wraps what came out.
        out = getattr(found, "pooler_output", None if embed is None else found) if self.pooled else None
        if out is None:
            last = found.last_hidden_state
            out = last.mean(1) if last.ndim == 3 else last.flatten(2).mean(2)  # tokens, or a grid of channels
        return out.flatten(1)  # convolutional models leave a grid of 1 x 1


def middles(path: Path, snippet: int = SNIPPET, together: int = 16) -> Iterator[np.ndarray]:
    """The middle frame of each snippet of the source, (m, H, W, 3) at once; of a last piece its last frame at most."""
    held: list[np.ndarray] = []
    number, last = 0, None
    for clip in VideoReader(path, None):
        for frame in clip.frames:
            if number % snippet == snippet // 2:
                held.append(frame)
            last = frame
            number += 1
            if len(held) == together:
                yield np.stack(held)
                held = []
    if last is not None and number % snippet and number % snippet <= snippet // 2:
        held.append(last)
    if held:
        yield np.stack(held)


def extract(
    paths: Sequence[Path],
    out: Path,
    extractor: Extractor,
    failed: Callable[[Path, Exception], None] | None = None,
    kind: str = "safetensors",
) -> Iterator[Path]:
    """Write the features of each video into `out`, and give the file when it is there; arguments and errors as
    `targets`. failed: called with what cannot be read, which is then left out; None raises it."""
    for path, target in zip(paths, targets(paths, out, kind), strict=True):
        if not is_done(target, extractor.made_by):
            try:
                info = probe(path)
                frames = info.n_frames_hint or max(1, round(info.duration_s * info.fps))
                about = About(str(path), extractor.made_by, float(info.fps), frames)
                save(target, extractor(path), about)
            except (VideoError, ValueError, OSError) as error:
                if failed is None:
                    raise
                failed(path, error)
                continue
        yield target


def targets(paths: Sequence[Path], out: Path, kind: str = "safetensors") -> list[Path]:
    """The file of each video in `out`: its own name, with its folder's before it where two would be alike. kind: one of
    FORMATS. ValueError where even that does not tell them apart, for another kind, and where `out` holds a file of the
    other kind of the same video, since a reader could not choose between the two."""
    if kind not in FORMATS:
        raise ValueError(f"format is {kind!r}; choose one of {', '.join(FORMATS)}")
    stems = [p.stem for p in paths]
    names = [s if stems.count(s) == 1 else f"{p.parent.name}-{s}" for p, s in zip(paths, stems, strict=True)]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(
            f"several videos would be written to {twice[0]}.{kind}; extract them into folders of their own"
        )
    others = [out / f"{name}.{other}" for other in FORMATS if other != kind for name in names]
    if there := [path for path in others if path.exists()]:
        raise ValueError(f"{there[0]} is there already; write .{kind} files into another folder, or remove it")
    return [out / f"{name}.{kind}" for name in names]


def save(path: Path, features: np.ndarray, about: About) -> None:
    """Write features (n, D) whole or not at all, as the suffix says."""
    from safetensors.numpy import save as to_bytes

    header, rows = {k: str(v) for k, v in asdict(about).items()}, np.ascontiguousarray(features, np.float16)
    if path.suffix == ".npy":
        text = json.dumps(header, indent=1) + "\n"
        # Features that are there without it are made again, so that they come first.
        path.with_suffix(".json").unlink(missing_ok=True)
        write_atomic(path, lambda file: np.save(file, rows))
        write_atomic(path.with_suffix(".json"), lambda file: file.write(text.encode()))
        return
    data = to_bytes({"features": rows}, header)
    write_atomic(path, lambda file: file.write(data))


def load(path: Path) -> tuple[np.ndarray, About]:
    """Features (n, D) float32 of a file that `save` wrote. ValueError for any other."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".npy":
            header = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            features = np.load(path, allow_pickle=False)
        else:
            with safe_open(path, "numpy") as file:
                features, header = file.get_tensor("features"), file.metadata() or {}
        about = About(
            header["video"], header["made_by"], float(header["fps"]), int(header["frames"]), int(header["snippet"])
        )
    except (SafetensorError, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a file of snippet features ({error}); write it with tvad extract") from None
    if features.ndim != 2 or not len(features) or not np.isfinite(features).all():
        raise ValueError(
            f"{path}: features {features.shape} with numbers that are not finite, or none; extract it again"
        )
    return features.astype(np.float32), about


def is_done(path: Path, made_by: str) -> bool:
    """Whether a file of features is there, whole and made in this way."""
    if not path.is_file():
        return False
    try:
        return load(path)[1].made_by == made_by
    except ValueError:
        return False
