"""The commands that train: `tvad train heatmap`, `lvlm`, `temporal`. They need `pip install tvad[train]` and data."""

from pathlib import Path
from typing import Annotated

import typer

from tvad import cli_show
from tvad.cli_exit import checked, named_failures

app = typer.Typer(help="Train the parts that learn.", no_args_is_help=True)

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Cached clips, in train/ and validation/; with --preset videos and their masks, as tvad synth makes them.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The checkpoint; an unfinished run in it goes on.")]


@app.callback()
def train() -> None:
    """Train the parts that learn."""


@app.command()
def heatmap(
    data: Data,
    out: Out,
    steps: Annotated[int, typer.Option(help="Updates.")] = 2000,
    clips: Annotated[int, typer.Option(help="Clips an update.")] = 8,
    runs: Annotated[int, typer.Option(help="Runs of four frames of each clip.")] = 2,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate: 0.001, with --preset 0.0001.")] = None,
    look_lr: Annotated[float, typer.Option(help="Share of it for what the looks of things say; 0 keeps that.")] = 0.0,
    appearance_lr: Annotated[float, typer.Option(help="Share of it for what cells look like; 0 keeps that.")] = 1.0,
    loss: Annotated[str, typer.Option(help="focal+dice, or ref: plain cross-entropy.")] = "focal+dice",
    every: Annotated[int, typer.Option(help="Updates between two measurements on validation/.")] = 100,
    hidden: Annotated[
        int | None, typer.Option(help="Width of the projections' hidden layers: 128, with --preset 1024.")
    ] = None,
    context: Annotated[
        int, typer.Option(help="Cells around a cell that the movement's projection sees: odd, or 0.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    precision: Annotated[str, typer.Option(help="no or bf16.")] = "no",
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Of a full-size language model: a decoder on its own vision tower.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Of that model; else where tvad models pull put it.")
    ] = None,
    folder_kind: Annotated[
        str, typer.Option(help="With --preset: synthetic (tvad synth) or masks (training.datasets.masks).")
    ] = "synthetic",
    frames: Annotated[int, typer.Option(help="With --preset: of a stretch; 0 for the model's own number.")] = 0,
    device: Annotated[str, typer.Option(help="With --preset: cuda or cpu.")] = "cuda",
    dtype: Annotated[str, typer.Option(help="With --preset: of the model: bf16, fp16 or fp32.")] = "bf16",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train the anomaly heatmap decoder: on cached clips (python -m training.heatmap.features makes them), or with
    --preset on the vision tower of a full-size language model, for `tvad train lvlm --preset ... --ahd OUT`."""
    with named_failures():
        from training.heatmap.data import Folder
        from training.heatmap.loop import Run, TrainConfig, fit, learn_from
        from training.heatmap.model import HIDDEN, mini_config

        config = checked(
            lambda: TrainConfig(
                steps=steps,
                clips=clips,
                runs=runs,
                lr=lr or (1e-4 if preset else 1e-3),
                look_lr=look_lr,
                appearance_lr=appearance_lr,
                loss=loss,
                every=every,
                seed=seed,
                precision=precision,
                threads=threads,
            )
        )
        say = (lambda line: None) if quiet else cli_show.say
        if preset is not None:
            from training.heatmap.tower import TowerOptions, open_lessons

            wanted = TowerOptions(data, preset, weights, folder_kind, frames, hidden or 1024, device, dtype)
            lessons, model = checked(lambda: open_lessons(wanted))
            checked(Run(out, config, model).read)
            checked(lambda: learn_from(lessons, out, config, model, say, device=device))
            cli_show.print_paths({"decoder": out})
            return
        folder = checked(lambda: Folder(data, "train"))
        held = checked(lambda: Folder(data, "validation")) if (data / "validation").is_dir() else None
        model = checked(lambda: mini_config(hidden or HIDDEN, context))
        checked(Run(out, config, model).read)
        fit(folder, held, out, config, model, say)
        cli_show.print_paths({"decoder": out})


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def lvlm(context: typer.Context) -> None:
    """Train the region encoder and the language model's adapter; --help lists the settings.

    With --preset of a full-size language model, LoRA or QLoRA on that one, whose settings --preset NAME --help lists.
    """
    with named_failures():
        if any(word.partition("=")[0] == "--preset" for word in context.args):
            from training.lvlm.full import main as train_full
            from training.lvlm.full import parse as parse_full

            wanted = parse_full(context.args, "tvad train lvlm")
            raise typer.Exit(checked(lambda: train_full(wanted)))
        from training.lvlm.loop import main, parse

        main(parse(context.args, "tvad train lvlm"))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def temporal(context: typer.Context) -> None:
    """Train a temporal head from labels of whole videos; --help lists the settings."""
    with named_failures():
        from training.temporal.command import main, parse

        raise typer.Exit(main(parse(context.args, "tvad train temporal")))
