"""The command that makes synthetic footage: clips with their truth, or a sheet of pictures to look at."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tvad import cli_show
from tvad.cli_exit import checked, named_failures

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer()

SHEET_CLIPS = 16


@app.command()
def synth(
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for the clips; leave it out with --preview.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Clips to make.")] = SHEET_CLIPS,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first clip; the others follow.")] = 0,
    layout: Annotated[
        str | None, typer.Option("--layout", help="Kind of place, for example plaza. Default: any.")
    ] = None,
    anomaly: Annotated[
        str, typer.Option("--anomaly", help="random (half are ordinary), none, or one kind, for example cycling.")
    ] = "random",
    split: Annotated[
        str | None, typer.Option("--split", help="train, validation or test. Default: the layout's, or train.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a clip.")] = 8.0,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 10.0,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Size of the picture.")] = "640x360",
    assets: Annotated[
        Path | None, typer.Option("--assets", metavar="FOLDER", help="Real backgrounds and cut-outs to mix in.")
    ] = None,
    takes: Annotated[
        int, typer.Option("--takes", min=0, help="Ordinary takes of each clip's camera, to calibrate on.")
    ] = 0,
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="SHEET.png", help="Only draw one frame of each on a sheet.")
    ] = None,
    outlines: Annotated[bool, typer.Option("--outlines", help="On the sheet, mark what is anomalous in red.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make surveillance footage that never was: OUT/NNNN.mp4 with NNNN.truth.json and NNNN.ids.npz, and
    NNNN.ordinary/1.mp4 and on with --takes."""
    if (out is None) == (preview is None):
        raise typer.BadParameter("give either a folder for clips, or --preview SHEET.png")
    with named_failures():
        from training.datasets.synthetic.layouts import split_of

        wanted = {
            "layout": layout,
            "anomaly": None if anomaly == "none" else anomaly,
            "split": split or (checked(lambda: split_of(layout)) if layout else "train"),
            "seconds": seconds,
            "fps": fps,
            "size_wh": checked(lambda: parse_size(size)),
            "assets": open_assets(assets),
        }
        if preview is not None:
            draw_sheet(preview, range(seed, seed + count), wanted, outlines)
        elif out is not None:
            write_clips(out, range(seed, seed + count), wanted, takes, quiet)


def parse_size(text: str) -> tuple[int, int]:
    """ "640x360" -> (640, 360); ValueError for anything else."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise ValueError(f"no size {text!r}; write width and height in pixels, for example 640x360")
    return int(found[1]), int(found[2])


def open_assets(folder: Path | None) -> Any:
    if folder is None:
        return None
    from training.datasets.synthetic.assets import Assets

    try:
        return Assets.load(folder)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from None


def write_clips(out: Path, seeds: range, wanted: dict[str, Any], takes: int, quiet: bool) -> None:
    """One clip after the other into a folder, each with its takes; the paths of the videos go to stdout."""
    from training.datasets.synthetic.clip import make_clip, ordinary_take, write_clip

    seconds = float(wanted["seconds"])
    with cli_show.Meter(f"drawing {len(seeds)} clips", quiet) as meter:
        for i, seed in enumerate(seeds):
            clip = checked(partial(make_clip, seed, **wanted))
            for number in range(1, takes + 1):
                take = checked(partial(ordinary_take, clip, number, assets=wanted["assets"]))
                write_clip(take, out / f"{clip.name}.ordinary")
            write_clip(clip, out)
            meter.at((i + 1) * seconds, len(seeds) * seconds)
            print(cli_show.shown(out / f"{seed:04d}.mp4"), flush=True)


def draw_sheet(path: Path, seeds: range, wanted: dict[str, Any], outlines: bool) -> None:
    """One telling frame of each clip on a sheet."""
    import cv2

    from training.datasets.synthetic.clip import make_clip
    from training.datasets.synthetic.preview import frame_at, label, middle_s, sheet
    from tvad.evidence import write_atomic

    pictures: list[np.ndarray] = []
    labels: list[str] = []
    for seed in seeds:
        clip = checked(partial(make_clip, seed, **wanted))
        pictures.append(frame_at(clip, middle_s(clip), outlines))
        labels.append(label(clip))
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet(pictures, labels), cv2.COLOR_RGB2BGR))
    write_atomic(path, lambda file: file.write(data.tobytes()))
    print(cli_show.shown(path))
