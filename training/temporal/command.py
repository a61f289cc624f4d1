"""The command that trains a temporal head: `main(parse(arguments))`. See training/temporal/loop.py."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from training.datasets.weak import GROUPS, WeakVideo, class_names, read_videos, split_by_source, with_truth
from training.temporal.batches import FeatureStore
from training.temporal.loop import Plan, TemporalTrainConfig, fit
from tvad.temporal.registry import HEADS, UCF, XD, setting_types
from tvad.temporal.typed import of_text, read_settings, spoken
from tvad.weights import MissingWeights

SHARE = 0.15  # of the videos, held back where no list of them is given
DESCRIPTION = f"""Train a temporal head from labels of whole videos.

LIST is UCF-Crime's or XD-Violence's list of features (path,label), a table (.csv or .jsonl: video,label[,start,end]),
or a folder with one folder a label. A run that was interrupted goes on where it was. Heads: {", ".join(HEADS)}."""


def parse(arguments: Sequence[str] | None = None, name: str | None = None) -> argparse.Namespace:
    """name: of the command, in messages. Fields of TemporalTrainConfig are flags; those that are not given are the
    recipe's."""
    parser = argparse.ArgumentParser(
        name, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--head", required=True, choices=list(HEADS))
    add("--data", type=Path, required=True, metavar="LIST", help="videos to train on")
    add("--features", type=Path, metavar="FOLDER", help="where their files are; that of the list if not given")
    add("--truth", type=Path, metavar="FILE", help="where anomalies are, in frames: only to select by")
    add("--normal-label", nargs="*", default=[], metavar="LABEL", help="further labels that mean normal")
    add("--group", choices=GROUPS, default="name", help="what is a source: what names have in common, or each video")
    add("--validation", type=Path, metavar="LIST", help="videos to select on; never a test split")
    add("--share", type=float, default=SHARE, help=f"held back of --data instead, by source; 0 for none ({SHARE})")
    add("--recipe", choices=(UCF, XD), default=UCF, help="whose published settings are the defaults")
    add("--text", default="auto", metavar="TEXT", help="auto, minilm, random, or the folder of a CLIP model")
    add("--pseudo", type=Path, metavar="FOLDER", help="pseudo labels NAME.npy (n,) of anomalous videos, for afr")
    add("--set", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="settings of the head")
    add("--standard", action="store_true", help="features to mean 0, deviation 1; so do --columns and --project")
    add("--columns", nargs="*", default=[], metavar="FROM:TO", help="read these of the features alone")
    add("--project", type=int, default=0, metavar="WIDTH", help="learn a linear map of the features before the head")
    add("--out", type=Path, required=True, metavar="FOLDER", help="the head; an unfinished run in it goes on")
    add("--quiet", "-q", action="store_true", help="no progress")
    training = parser.add_argument_group("training")
    for key, kind in training_types().items():
        training.add_argument(
            f"--{key.replace('_', '-')}", default=None, metavar="X", help=spoken(kind), dest=f"t_{key}"
        )
    given = parser.parse_args(arguments)
    given.settings, given.training = _settled(parser, given)
    given.reading = None
    if given.standard or given.columns or given.project:
        try:
            given.reading = {"columns": stretches(given.columns), "project": given.project}
        except ValueError as error:
            parser.error(str(error))
    return given


def stretches(given: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """ "376:445" -> (376, 445); ValueError for anything else."""
    out = []
    for text in given:
        start, _, end = text.partition(":")
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
            raise ValueError(f"no columns {text!r}; write the first and the one after the last, for example 376:445")
        out.append((int(start), int(end)))
    return tuple(out)


def training_types() -> dict[str, Any]:
    """Fields of TemporalTrainConfig and their types."""
    hints = get_type_hints(TemporalTrainConfig)
    return {f.name: hints[f.name] for f in fields(TemporalTrainConfig)}


def _settled(parser: argparse.ArgumentParser, given: argparse.Namespace) -> tuple[dict[str, Any], TemporalTrainConfig]:
    """Settings of the head and of the training: the recipe's, and what was given instead. Ends the program where
    something is wrong."""
    recipe, kinds = HEADS[given.head].recipes[given.recipe], training_types()
    told = {key: getattr(given, f"t_{key}") for key in kinds if getattr(given, f"t_{key}") is not None}
    training = dict(recipe.training)
    try:
        settings = {**recipe.head, **read_settings(setting_types(given.head), given.set)}
        if given.pseudo is not None and not HEADS[given.head].pseudo:
            raise ValueError(f"{given.head} learns from no pseudo labels; leave --pseudo out")
        if not 0 <= given.share < 1:
            raise ValueError(f"share is {given.share}; it must be at least 0 and below 1 (--share)")
        for key, text in told.items():
            try:
                training[key] = of_text(kinds[key], text)
            except ValueError:
                raise ValueError(f"--{key.replace('_', '-')} is {text!r}; it must be {spoken(kinds[key])}") from None
        if "epochs" in told and "steps" not in told:
            training["steps"] = None
        return settings, TemporalTrainConfig(**training)
    except ValueError as error:
        parser.error(str(error))


def main(given: argparse.Namespace) -> int:
    """Train as told: 0 when it is over, 2 for bad input, 4 for missing weights; then one line on stderr."""
    try:
        store, validation = stores(given)
        say = (lambda line: None) if given.quiet else _say
        plan = Plan(given.head, given.settings, given.text, given.reading, given.recipe)
        saved = fit(plan, store, validation, given.out, given.training, say)
    except (MissingWeights, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4 if isinstance(error, MissingWeights) else 2
    print(f"{saved.name} of step {saved.about.get('step')}: {given.out}")
    return 0


def stores(given: argparse.Namespace) -> tuple[FeatureStore, FeatureStore | None]:
    """Videos to train on, and to select on."""
    videos = _read(given, given.data)
    names = class_names(videos)
    if given.validation is not None:
        held = _read(given, given.validation)
    elif given.share:
        videos, held = split_by_source(videos, given.share, given.training.seed)
    else:
        held = []
    if unseen := sorted(set(names) - set(class_names(videos))):
        print(f"note: no video of {', '.join(unseen)} is left to train on", file=sys.stderr)
    return FeatureStore(videos, names, given.pseudo), FeatureStore(held, names) if held else None


def _read(given: argparse.Namespace, path: Path) -> list[WeakVideo]:
    videos = read_videos(path, given.features, given.normal_label, given.group)
    return with_truth(videos, given.truth) if given.truth else videos


def _say(line: str) -> None:
    print(line, flush=True)
