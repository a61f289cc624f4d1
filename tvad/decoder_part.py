"""The decoder in the product: a trained checkpoint as an OpenVINO graph, and levels of a stream of features.

A level is the log odds of the anomaly words against the normal ones in a cell; what it means for an alarm is
heatmap/levels.py's business.  Next: tvad/detector.py
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heatmap.prompts import PLAIN, Text, stacked
from tvad import minilm
from tvad.converted import BESIDE_OTHERS, converted, multiplies_bf16
from tvad.decoder_taps import DELAY_S, TAPS, Taps, TapsStream
from tvad.encoder import Features
from tvad.trained import Checkpoint
from tvad.watcher import Thing
from tvad.words import Habit

PIECE = 16  # frames through the network at once
TOP_SHARE = 0.01  # of the cells, whose mean is the level of a frame (T-VAD)


class HeatDecoder:
    """Taps and words to levels, run by OpenVINO. precision: "bf16" where the CPU multiplies it natively, else "f32";
    None chooses. threads: CPU threads; None leaves it to OpenVINO. MissingWeights where there is no checkpoint."""

    def __init__(self, folder: str | Path, threads: int | None = None, precision: str | None = None) -> None:
        import openvino

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision or ("bf16" if multiplies_bf16() else "f32")}
        options |= BESIDE_OTHERS
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        weight = Checkpoint.of(folder, "heat decoder", "heat", "tvad train heatmap", "heatmap.decoder")

        def build() -> Any:
            return graph(weight.folder)

        self._request = (
            openvino.Core().compile_model(converted("decoder", weight, build), "CPU", options).create_infer_request()
        )

    def levels(self, taps: Taps, text: Text) -> np.ndarray:
        """Log odds of anomalous against normal, (T, h, w) float32."""
        vectors, words = stacked([text])
        inputs = [*(x[None] for x in taps.arrays()), vectors, words.astype(np.float32)]
        self._request.infer(dict(enumerate(inputs)))
        out: np.ndarray = self._request.get_output_tensor(0).data[0].astype(np.float32)
        return out


@dataclass(frozen=True)
class DecodedLevels:
    """Of T consecutive frames: level (T, h, w) float32, frame (T,) the mean of the hottest cells, times_s (T,)."""

    level: np.ndarray
    frame: np.ndarray
    times_s: np.ndarray


class DecoderPart:
    """Levels of a stream, in order and DELAY_S late.

    words: `words_text`. size_wh: of the analysed frames, in whose pixels things have their boxes. habit: what the
    classifier predicts for this scene's ordinary things, where that is known.
    """

    def __init__(
        self,
        decoder: HeatDecoder,
        text: Text,
        size_wh: tuple[int, int],
        habit: Habit | None = None,
        delay_s: float = DELAY_S,
    ) -> None:
        self.decoder, self.text = decoder, text
        self._taps = TapsStream(size_wh, habit, delay_s)
        self._kept: list[Taps] = []  # a frame already handed out, then those that are not
        self._has_past = False

    def push(self, features: Features, things: Iterable[Thing]) -> Iterator[DecodedLevels]:
        """Take the next features with all things there are, or that have ended since; gives levels that are ready."""
        for taps in self._taps.push(features, things):
            self._kept.append(taps)
            yield from self._decode(last=False)

    def finish(self, things: Iterable[Thing]) -> Iterator[DecodedLevels]:
        """The rest, with the last things."""
        for taps in self._taps.finish(things):
            self._kept.append(taps)
            yield from self._decode(last=False)
        yield from self._decode(last=True)

    def _decode(self, last: bool) -> Iterator[DecodedLevels]:
        """The network looks a frame back and ahead, so the newest frame waits for the next piece."""
        if not self._kept:
            return
        taps = Taps.join(self._kept)
        start, end = int(self._has_past), len(taps) - (0 if last else 1)
        self._kept = [taps.pick(slice(max(end - 1, 0), None))]
        if end > start:
            level = self.decoder.levels(taps, self.text)[start:end]
            self._has_past = True
            yield DecodedLevels(level, frame_level(level), taps.times_s[start:end])
        if last:
            self._kept = []


def words_text(anomaly: tuple[str, ...] = (), normal: tuple[str, ...] = ()) -> Text:
    """The user's words, or the default ones, for the decoder of the small preset."""
    return Text.of(minilm.embed, anomaly, normal, PLAIN)


def frame_level(level: np.ndarray) -> np.ndarray:
    """(T, h, w) to the mean of the hottest TOP_SHARE of cells, (T,)."""
    cells = level.reshape(len(level), -1)
    count = int(np.ceil(TOP_SHARE * cells.shape[1]))
    out: np.ndarray = np.partition(cells, -count, axis=1)[:, -count:].mean(1)
    return out


def graph(folder: str | Path) -> Any:
    """The checkpoint as an OpenVINO model: taps in the order of TAPS, (1, 2, K, D) text, (1, 2, K) words as 0 and 1, to
    (1, T, h, w) log odds."""
    import openvino
    import torch

    from heatmap.decoder import HeatmapDecoder

    decoder = HeatmapDecoder.load(folder)
    found = {t.name: t.channels for t in decoder.config.taps}
    if found != TAPS:
        raise ValueError(f"{folder}: a decoder for taps {found}; this version makes {TAPS}. Train it again")
    width = decoder.config.text_width

    class Levels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, fine: Any, coarse: Any, motion: Any, look: Any, text: Any, words: Any) -> torch.Tensor:
            out: torch.Tensor = self.decoder([fine, coarse, motion, look], text, words).level
            return out

    grids = {name: (4, 6) if name != "coarse" else (2, 3) for name in TAPS}
    example = [torch.zeros(1, 3, *grids[name], channels) for name, channels in TAPS.items()]
    example += [torch.zeros(1, 2, 2, width), torch.ones(1, 2, 2)]
    shapes = [openvino.PartialShape([1, -1, -1, -1, c]) for c in TAPS.values()]
    shapes += [openvino.PartialShape([1, 2, -1, width]), openvino.PartialShape([1, 2, -1])]
    with torch.no_grad():
        return openvino.convert_model(Levels().eval(), example_input=tuple(example), input=shapes)
