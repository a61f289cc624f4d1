"""Which numerics run the encoder's network fastest on this CPU, and how far do features move from fp32?

    python benchmarks/encoder_numerics.py [VIDEO]

One clip of 16 frames, best of 5 passes, every CPU. Cosine: mean and smallest over all cells between the features of a
row and torch's in fp32. ONNX Runtime is measured where it is installed (`pip install onnx onnxruntime`).
"""

import io
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch

from tvad.encoder import Encoder, input_size, network
from tvad.settings import MAX_SIDE_PX
from tvad.video import VideoReader

EXAMPLE = Path(__file__).parent.parent / "examples" / "plaza.mp4"
RUNS = 5


def torch_runs(batch: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    x = torch.from_numpy(batch)
    plain, last = network(), network().to(memory_format=torch.channels_last)

    def run(model: torch.nn.Module, bf16: bool) -> Callable[[], np.ndarray]:
        def once() -> np.ndarray:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                patch: torch.Tensor = model(x)[0]
            return patch.float().numpy()

        return once

    return {
        "torch fp32": run(plain, False),
        "torch fp32, channels last": run(last, False),
        "torch bf16, channels last": run(last, True),
        "torch.compile fp32": run(torch.compile(plain), False),  # type: ignore[arg-type]
        "torch.compile bf16": run(torch.compile(last), True),  # type: ignore[arg-type]
    }


def onnx_run(batch: np.ndarray) -> Callable[[], np.ndarray] | None:
    if not (find_spec("onnxruntime") and find_spec("onnx")):
        return None
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(network(), (torch.from_numpy(batch),), file, input_names=["x"], dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])

    def once() -> np.ndarray:
        return np.asarray(session.run(None, {"x": batch})[0])

    return once


def openvino_run(precision: str, batch: np.ndarray) -> Callable[[], np.ndarray]:
    encoder = Encoder(precision=precision)
    return lambda: encoder.appearance(batch)[0]


def main() -> None:
    warnings.simplefilter("ignore")
    video = sys.argv[1] if len(sys.argv) > 1 else str(EXAMPLE)
    frames = next(iter(VideoReader(video, max_side=MAX_SIDE_PX))).frames
    size = input_size(frames.shape[2], frames.shape[1])
    batch = np.stack([cv2.resize(f, size) for f in frames])
    runs = torch_runs(batch)
    if (onnx := onnx_run(batch)) is not None:
        runs["ONNX Runtime fp32"] = onnx
    runs |= {"OpenVINO fp32": openvino_run("f32", batch), "OpenVINO bf16": openvino_run("bf16", batch)}
    print(f"{len(batch)} frames at {size[0]}x{size[1]}, {torch.get_num_threads()} threads")
    truth = None
    for name, run in runs.items():
        try:
            features = run()  # compiles
        except RuntimeError as error:  # no C++ compiler for torch.compile, say
            print(f"{name:28s} does not run here: {str(error).splitlines()[0][:90]}")
            continue
        truth = features if truth is None else truth
        times_s = []
        for _ in range(RUNS):
            began_s = time.perf_counter()
            run()
            times_s.append(time.perf_counter() - began_s)
        cosine = (features * truth).sum(-1) / np.linalg.norm(features, axis=-1) / np.linalg.norm(truth, axis=-1)
        speed = len(batch) / min(times_s)
        print(f"{name:28s} {speed:6.0f} frames/s   cosine {cosine.mean():.4f}, at least {cosine.min():.4f}", flush=True)


if __name__ == "__main__":
    main()
