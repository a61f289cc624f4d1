"""Segment Anything at its published sizes, with random weights: seconds and memory of one frame on this machine.

    python benchmarks/sam_size.py [--kinds vit_b sam2_tiny sam2_base_plus] [--device cpu]

Each kind in a process of its own: the weights are written as a person would have them, opened by heatmap/sam.py, and
one region of a frame of examples/plaza.mp4 is refined. "look" is the frame through the encoder, "masks" its nine masks;
seconds are those that the process computed, of one core with OMP_NUM_THREADS=1, whatever else the machine does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLIP = Path(__file__).parent.parent / "examples" / "plaza.mp4"
# Sizes of SAM 2.1's configurations; the smallest is the default of transformers.
SAM2: dict[str, dict[str, Any]] = {
    "sam2_tiny": {},
    "sam2_base_plus": {
        "hidden_size": 112, "num_attention_heads": 2, "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896], "num_attention_heads_per_stage": [2, 4, 8, 16],
        "global_attention_blocks": [12, 16, 20], "window_positional_embedding_background_size": [14, 14],
    },
}  # fmt: skip
VIT_B: dict[str, Any] = {
    "width": 768, "patch": 16, "side": 1024, "depth": 12, "heads": 12, "everywhere": [2, 5, 8, 11], "window": 14,
    "mlp": 4.0, "out": 256, "mask_in": 16, "decoder_depth": 2, "decoder_mlp": 2048, "narrowed": 2, "masks": 3,
    "quality_depth": 3, "quality_width": 256,
}  # fmt: skip
KINDS = ("vit_b", "vit_b_transformers", *SAM2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.device)))
        return
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as room:
            command = [sys.executable, __file__, "--device", given.device, "--one", str(make(kind, Path(room)))]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            row = json.loads(said.splitlines()[-1])
        print(kind, *(f"{name} {value:.4g}" for name, value in row.items()), sep="  ", flush=True)


def make(kind: str, room: Path) -> Path:
    """Random weights of a kind, in the form that `tvad analyze --sam` takes."""
    import torch

    torch.manual_seed(0)
    if kind == "vit_b":
        from safetensors.torch import save_file

        from heatmap.sam import built

        save_file(built(VIT_B).state_dict(), room / "sam.safetensors")
        return room / "sam.safetensors"
    import transformers as t

    if kind == "vit_b_transformers":
        t.SamModel(t.SamConfig()).save_pretrained(room)
        t.SamProcessor(t.SamImageProcessor()).save_pretrained(room)
        return room
    sizes = SAM2[kind]
    vision: dict[str, Any] = {}
    if sizes:
        channels = sizes["embed_dim_per_stage"][::-1]
        vision = {"backbone_config": t.Sam2HieraDetConfig(**sizes), "backbone_channel_list": channels}
    t.Sam2Model(t.Sam2Config(vision_config=t.Sam2VisionConfig(**vision))).save_pretrained(room)
    t.Sam2Processor(t.Sam2ImageProcessor()).save_pretrained(room)
    return room


def measure(path: Path, device: str) -> dict[str, float]:
    """Of one frame: parameters in millions, seconds, and the highest memory of the process in GiB."""
    from safetensors import safe_open

    from heatmap.regions import Region
    from heatmap.sam import open_segmenter, refine
    from tvad.video import VideoReader

    file = path if path.is_file() else path / "model.safetensors"
    with safe_open(str(file), "np") as held:
        numbers = sum(int(np.prod(held.get_slice(name).get_shape())) for name in held.keys())  # noqa: SIM118
    frame = next(iter(VideoReader(CLIP, 1.0, chunk=1, prefetch=False))).frames[0]
    h, w = frame.shape[:2]
    mask = np.zeros((h, w), bool)
    mask[h // 3 : h // 2, w // 3 : w // 2] = True
    box = (w // 3, h // 3, w // 2 - 1, h // 2 - 1)
    region = Region(0.0, tuple(float(v) for v in box), 0.9, (w * 5 / 12, h * 5 / 12), float(mask.mean()), mask)  # type: ignore[arg-type]
    began = time.process_time()
    segmenter = open_segmenter(path, device)
    opened = time.process_time() - began
    looks, masks = [], []
    for _ in range(2):  # the first warms up
        began = time.process_time()
        segmenter.set_image(frame)
        looks.append(time.process_time() - began)
        began = time.process_time()
        for prompt in ((box, None), (None, region.centroid_xy), (box, region.centroid_xy)):
            segmenter.masks(prompt[0], prompt[1])  # type: ignore[arg-type]
        masks.append(time.process_time() - began)
    refine(segmenter, frame, [region], mask.astype(np.float32))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 2**20
    return {"parameters_m": numbers / 1e6, "open_s": opened, "look_s": looks[1], "masks_s": masks[1], "peak_gib": peak}


if __name__ == "__main__":
    main()
