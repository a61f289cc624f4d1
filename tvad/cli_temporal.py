"""The commands around temporal heads: `tvad extract` makes the features that they read, `tvad heads` lists them,
`tvad eval` measures scores over time. Training is in tvad/cli_train.py."""

from pathlib import Path
from typing import Annotated

import typer

from tvad import cli_show
from tvad.cli_exit import checked, named_failures

app = typer.Typer()


@app.command()
def extract(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos, or folders of videos.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="One file of features for each video.")],
    features: Annotated[
        str,
        typer.Option("--features", help="mini, or a folder with a vision model: CLIP, SigLIP, DINOv2, timm's, ..."),
    ] = "mini",
    kind: Annotated[str, typer.Option("--format", help="safetensors or npy.")] = "safetensors",
    device: Annotated[str, typer.Option(help="cpu or cuda, for a model in a folder.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads of mini.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Write snippet features of videos, a row for every 16 frames. What is there already is not made again; what cannot
    be read is told and left out, and the exit code is then 3."""
    with named_failures():
        from tvad.temporal.extract import MiniExtractor, TowerExtractor, extract, targets

        paths = checked(lambda: _videos(videos))
        checked(lambda: targets(paths, out, kind))
        made_by = (
            MiniExtractor(threads) if features == "mini" else checked(lambda: TowerExtractor(Path(features), device))
        )
        lost: list[Path] = []

        def failed(path: Path, error: Exception) -> None:
            lost.append(path)
            cli_show.say(f"{cli_show.shown(path)}: {cli_show.shown(error)}")

        with cli_show.Meter(f"features of {len(paths)} videos", quiet) as meter:
            for n, path in enumerate(extract(paths, out, made_by, failed, kind)):
                meter.at(n + 1, len(paths))
                print(cli_show.shown(path), flush=True)
    if lost:
        raise typer.Exit(3)


@app.command()
def heads(
    name: Annotated[str | None, typer.Argument(metavar="HEAD", help="Show the settings of this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the weakly supervised temporal heads, or the settings of one with its published recipes."""
    from tvad.temporal.registry import HEADS, head_info

    if name is not None:
        checked(lambda: head_info(name))
        _settings(name, as_json)
        return
    rows = [
        {"name": name, "title": h.title, "paper": h.paper, "year": h.year, "classes": h.classes, "text": h.text}
        | {"pseudo_labels": h.pseudo, "recipes": list(h.recipes)}
        for name, h in HEADS.items()
    ]
    if as_json:
        cli_show.print_json(rows)
        return
    told = [(r["name"], f"{r['paper']} {r['year']}", "yes" if r["classes"] else "no") for r in rows]
    cli_show.table(("head", "paper", "classes"), told)


@app.command(
    name="eval",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def evaluate(context: typer.Context) -> None:
    """Measure scores over time against their truth; --help lists the settings."""
    with named_failures():
        from training.evaluate_scores import main

        main(context.args, "tvad eval")


def _settings(name: str, as_json: bool) -> None:
    """What --set of `tvad train temporal` takes for a head, and what its recipes say other than the default."""
    from dataclasses import fields

    from tvad.temporal.registry import HEADS, classes_of, setting_types
    from tvad.temporal.typed import spoken

    recipes, kinds = HEADS[name].recipes, setting_types(name)
    default = {f.name: f.default for f in fields(classes_of(name)[1])}
    if as_json:
        said = {key: {"type": spoken(kind), "default": default[key]} for key, kind in kinds.items()}
        told = {data: {"set": dict(r.head), "training": dict(r.training)} for data, r in recipes.items()}
        cli_show.print_json({"name": name, "settings": said, "recipes": told})
        return
    rows = [
        (key, _shown(default[key]), spoken(kind), *(_shown(r.head.get(key, "")) for r in recipes.values()))
        for key, kind in kinds.items()
    ]
    cli_show.table(("--set", "default", "is", *recipes), rows)
    print()
    # Flags of the command, not --set: a recipe says some, the rest is the program's own.
    flags = dict.fromkeys(key for r in recipes.values() for key in r.training)
    more = [
        (f"--{key.replace('_', '-')}", *(_shown(r.training.get(key, "")) for r in recipes.values())) for key in flags
    ]
    cli_show.table(("training", *recipes), more)


def _shown(value: object) -> str:
    """A setting as one would write it down."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _videos(given: list[Path]) -> list[Path]:
    """Files as given, folders as the videos in them, in order of their names."""
    from tvad.video import VIDEO_SUFFIXES

    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
            if not inside:
                raise ValueError(f"no videos in {path}; they end in {', '.join(sorted(VIDEO_SUFFIXES))}")
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))
