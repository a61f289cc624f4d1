"""Videos to snippet features, one file a video: what temporal heads are trained on and asked about.

    OUT/NAME.safetensors    features (n, D) float16, a row for 16 frames of the source; what made it, in the header

A file that is there and was made in the same way is left as it is, so that an extraction can be stopped at any time.

Next: tvad/temporal/base.py
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tvad.encoder import Encoder, input_size
from tvad.evidence import write_atomic
from tvad.settings import MAX_SIDE_PX
from tvad.temporal.constants import SNIPPET
from tvad.temporal.snippets import SnippetStream, whole
from tvad.video import VideoError, VideoReader, probe

SUFFIX = ".safetensors"
RATE = 8.0  # sampled frames a second, as the detector looks at a video
VERSION = 2  # of the numbers; another one is extracted anew


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
        self.encoder = Encoder(threads)

    def __call__(self, path: Path) -> np.ndarray:
        """VideoError for what cannot be read."""
        stream = SnippetStream(probe(path).fps)
        found: list[np.ndarray] = []
        reader = VideoReader(path, RATE, max_side=MAX_SIDE_PX, between=input_size)
        for features in self.encoder.features(reader, flow=True):
            found += stream.push(features)
        return whole([*found, *stream.finish()])


class TowerExtractor:
    """Image embeddings of a CLIP or SigLIP model in a local folder: (n, D), of the middle frame of each snippet, not
    brought to unit length (as VadCLIP's features)."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """FileNotFoundError where there is no model."""
        from transformers import AutoModel, AutoProcessor

        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"no model in {folder}; give a folder as save_pretrained writes it")
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).to(device).eval()
        self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        self.device = device
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        self.made_by = f"{kind} {folder.name}"

    def __call__(self, path: Path) -> np.ndarray:
        import torch

        rows: list[np.ndarray] = []
        for frames in middles(path):
            pixels = self.processor(images=list(frames), return_tensors="pt")["pixel_values"].to(self.device)
            with torch.no_grad():
                found = self.model.get_image_features(pixel_values=pixels)
            # transformers 5 wraps what came out.
            rows.append(getattr(found, "pooler_output", found).float().cpu().numpy())
        return whole(list(np.concatenate(rows))) if rows else whole([])


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
    paths: Sequence[Path], out: Path, extractor: Extractor, failed: Callable[[Path, Exception], None] | None = None
) -> Iterator[Path]:
    """Write the features of each video into `out`, and give the file when it is there. Videos of the same name are told
    apart by their folder's. failed: called with what cannot be read, which is then left out; None raises it."""
    out.mkdir(parents=True, exist_ok=True)
    for path, name in zip(paths, file_names(paths), strict=True):
        target = out / f"{name}{SUFFIX}"
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


def file_names(paths: Sequence[Path]) -> list[str]:
    """A name for each video: its own, with its folder's before it where two would be alike. ValueError where even that
    does not tell them apart."""
    stems = [p.stem for p in paths]
    names = [s if stems.count(s) == 1 else f"{p.parent.name}-{s}" for p, s in zip(paths, stems, strict=True)]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(
            f"several videos would be written to {twice[0]}{SUFFIX}; extract them into folders of their own"
        )
    return names


def save(path: Path, features: np.ndarray, about: About) -> None:
    """Write features (n, D) whole or not at all."""
    from safetensors.numpy import save as to_bytes

    header = {k: str(v) for k, v in asdict(about).items()}
    data = to_bytes({"features": np.ascontiguousarray(features, np.float16)}, header)
    write_atomic(path, lambda file: file.write(data))


def load(path: Path) -> tuple[np.ndarray, About]:
    """Features (n, D) float32 of a file that `save` wrote. ValueError for any other."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            features, header = file.get_tensor("features"), file.metadata() or {}
        about = About(
            header["video"], header["made_by"], float(header["fps"]), int(header["frames"]), int(header["snippet"])
        )
    except (SafetensorError, KeyError, ValueError, OSError) as error:
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
