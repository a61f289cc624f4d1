"""`tvad models`: what is here and what is not, `pull` it, `verify` it. Nothing is fetched but by `pull`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tvad import cli_show
from tvad.cli_exit import FAILED, NO_WEIGHTS, named_failures, stop
from tvad.presets import PRESETS
from tvad.presets.own import own_weights
from tvad.repos import LOCK, Lock, Repo, folder_name, models_dir
from tvad.weights import Weight

app = typer.Typer(help="List, pull and verify weights.", invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def models_default(context: typer.Context, as_json: Json = False) -> None:
    """The presets: which weights, from where, under which licence, how large, and whether they are here."""
    if context.invoked_subcommand is None:
        models(as_json)


def models(as_json: bool) -> None:
    rows = [_row(preset, weight) for preset, weight in _known()] + [_row("", repo) for repo in _others()]
    if as_json:
        return cli_show.print_json({"path": models_dir(), "models": rows})
    for preset in PRESETS.values():
        print(f"{preset.name}: {preset.summary}; runs on {preset.runs_on}")
    cli_show.table(
        ("weights", "use", "from", "licence", "size", "pinned", "here"),
        (
            (
                row["weights"],
                row["use"],
                row["package"] or row["repo"],
                row["licence"],
                ("about " if row["repo"] and not row["present"] else "") + cli_show.size(row["size_bytes"]),
                str(row["sha256"] or row["revision"] or "no")[:12],
                "yes" if row["present"] else "no",
            )
            for row in {row["weights"]: row for row in rows}.values()  # what presets share, once
        ),
    )
    if any(not row["present"] for row in rows):
        cli_show.say("`tvad models pull NAME` fetches what is not here; nothing else does")


def _known() -> list[tuple[str, Weight | Repo]]:
    """Every weight of every preset, with the preset's name; what two presets share, twice."""
    return [(p.name, w) for p in PRESETS.values() for w in (*p.weights, *own_weights(p.name))]


def _others() -> list[Repo]:
    """Pulled models that no preset names."""
    named = {w.repo for _, w in _known() if isinstance(w, Repo)}
    found = []
    for path in sorted(models_dir().glob(f"*/{LOCK}")):
        try:
            lock = Lock.load(path.parent)
        except ValueError:
            continue
        if lock.repo not in named and path.parent.name == folder_name(lock.repo):
            found.append(_any_repo(lock.repo))
    return found


def _any_repo(repo: str) -> Repo:
    """A model that no preset names; its licence is for who pulls it to read."""
    folder_name(repo)
    return Repo(repo, "of no preset", repo, "see its card", repo.partition("/")[0], 0)


def _row(preset: str, weight: Weight | Repo) -> dict[str, Any]:
    is_repo = isinstance(weight, Repo)
    lock = None
    if isinstance(weight, Repo) and weight.find():
        try:
            lock = Lock.load(weight.folder)
        except ValueError:
            lock = None
    size = sum(f.size_bytes or 0 for f in lock.files.values()) if lock else weight.size_bytes
    return {
        "preset": preset,
        "weights": weight.name,
        "use": weight.use,
        "package": "" if is_repo else weight.package,  # type: ignore[union-attr]
        "repo": weight.repo if isinstance(weight, Repo) else "",
        "revision": (lock.revision if lock else weight.revision) if isinstance(weight, Repo) else None,
        "licence": weight.licence,
        "source": weight.source,
        "size_bytes": size,
        "sha256": None if isinstance(weight, Repo) else weight.sha256,
        "files": {p: f.sha256 for p, f in lock.files.items()} if lock else {},
        "present": weight.find() is not None,
        "path": weight.find(),
        "command": weight.command,
    }


def _named(name: str) -> list[Weight | Repo]:
    """The weights of a preset, a weight by its name, or any repository OWNER/NAME. BadParameter for anything else."""
    if name in PRESETS:
        return list(PRESETS[name].weights)
    if found := [w for _, w in _known() if w.name == name]:
        return found[:1]
    if "/" in name:
        same = [w for _, w in _known() if isinstance(w, Repo) and w.repo == name]
        try:
            return [same[0] if same else _any_repo(name)]
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    names = [*PRESETS, *dict.fromkeys(w.name for _, w in _known())]
    raise typer.BadParameter(f"nothing is called {name!r}; choose one of {names}, or a hub's OWNER/NAME")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A preset, one of its weights, or a hub's OWNER/NAME.")],
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="PLACE", help="URL of a hub or mirror, or a folder. Default: the hub."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Commit to take instead of the pinned one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and stop.")] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Fetch weights, check every byte, note source, revision and hashes in a lock. Goes on where it was cut."""
    from tvad.hub import HUB, Pull, PullError

    wanted = _named(name)
    missing = [w for w in wanted if isinstance(w, Weight) and w.find() is None]
    done: list[dict[str, Any]] = []
    with named_failures():
        try:
            for repo in [w for w in wanted if isinstance(w, Repo)]:
                with Pull(repo, origin or HUB, revision) as work:
                    plan = work.plan()
                    _tell(plan)
                    if dry_run:
                        done.append(_planned(plan))
                        continue
                    with _bar(plan.size_bytes, quiet or plan.kept is not None) as progress:
                        lock = work.run(plan, progress)
                    cli_show.say(f"{repo.name}: revision {lock.revision}, {len(lock.files)} files in {repo.folder}")
                    done.append(_planned(plan) | {"path": repo.folder, "files": lock.files})
        except PullError as error:
            stop(FAILED, str(error))
    if as_json:
        cli_show.print_json({"pulled": done, "dry_run": dry_run})
    elif not dry_run:
        for one in done:
            print(cli_show.shown(one["path"]))
    for weight in missing:
        cli_show.say(f"{weight.name} is a package: {weight.command}")
    if missing:
        raise typer.Exit(NO_WEIGHTS)
    if not done:
        cli_show.say(f"the weights of {name} are packages, and here already")


def _planned(plan: Any) -> dict[str, Any]:
    return {
        "name": plan.repo.name,
        "repo": plan.repo.repo,
        "source": plan.source,
        "revision": plan.revision,
        "licence": plan.repo.licence,
        "size_bytes": plan.size_bytes,
        "files": {f.path: f for f in plan.files},
    }


def _tell(plan: Any) -> None:
    """What a pull is about to do, before it does."""
    repo = plan.repo
    pinned = "pinned" if repo.revision == plan.revision else "not pinned by the preset; the lock will note it"
    cli_show.say(f"{repo.name}: {repo.repo} from {plan.source}")
    cli_show.say(f"  revision {plan.revision} ({pinned}), licence: {repo.licence}")
    here = f", {cli_show.size(plan.here_bytes)} of it fetched before" if plan.here_bytes else ""
    cli_show.say(f"  {len(plan.files)} files, {cli_show.size(plan.size_bytes)}{here}, to {repo.folder}")
    if plan.kept:
        cli_show.say("  all of it is here already, every byte as the lock says")
    if plan.left_out:
        cli_show.say(f"  left out: {', '.join(plan.left_out[:8])}{', ...' if len(plan.left_out) > 8 else ''}")
    if plan.unchecked and not plan.kept:
        cli_show.say(
            f"  note: the source names no hash for {len(plan.unchecked)} files; they are taken as they come, and their "
            "sha256 is noted in the lock"
        )


class _bar:  # noqa: N801 - a context manager, used as one
    """Progress on stderr: a bar on a terminal, otherwise a line every ten seconds."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._quiet, self._total, self._done = quiet, total, dict[str, int]()
        self._said_s = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "_bar":
        if not self._quiet and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
            )
            self._bar = Progress(*columns, console=cli_show.console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __call__(self, path: str, done: int, total: int) -> None:
        self._done[path] = done
        every = sum(self._done.values())
        if self._bar:
            self._bar.update(self._task, completed=every, description=cli_show.shown(path))
        elif not self._quiet and time.monotonic() - self._said_s > 10:
            self._said_s = time.monotonic()
            cli_show.say(f"  {cli_show.size(every)} of {cli_show.size(self._total)}")

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()


@app.command("convert-sam")
def convert_sam(
    source: Annotated[Path, typer.Argument(metavar="FILE.pth", help="A checkpoint of segment-anything.")],
    target: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="Written whole or not at all.")],
) -> None:
    """Turn SAM's checkpoint, a pickle, into safetensors for --sam. Only tensors are unpickled, nothing in it is run."""
    from heatmap.sam import SamError, convert

    if target.suffix != ".safetensors":
        raise typer.BadParameter(f"the target is {target.name}; it must end in .safetensors")
    with named_failures():
        try:
            sizes = convert(source, target)
        except SamError as error:
            stop(FAILED, str(error))
    cli_show.say(f"width {sizes['width']}, {sizes['depth']} blocks, {sizes['side']} pixels a side")
    print(cli_show.shown(target))


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="All that is here, if none.")] = None,
    as_json: Json = False,
) -> None:
    """Read every byte of the weights that are here and compare with their locks. Exit code 4 when one is not whole."""
    wanted = [w for name in names or () for w in _named(name)] or _all_here()
    found = [(w, list(_problems(w)), _notes(w)) for w in wanted]
    is_whole = not any(problems for _, problems, _ in found)
    if as_json:
        rows = [{"weights": w.name, "path": w.find(), "problems": p, "notes": n} for w, p, n in found]
        cli_show.print_json({"ok": is_whole, "models": rows})
    else:
        for weight, problems, notes in found:
            print(f"{'NOT WHOLE' if problems else 'ok':10s}{cli_show.shown(weight.name)}")
            for line in (*problems, *notes):
                print(f"{'':10s}{cli_show.shown(line)}")
    if not is_whole:
        raise typer.Exit(NO_WEIGHTS)


def _all_here() -> list[Weight | Repo]:
    """What is installed or pulled, and what the default preset cannot do without."""
    known = dict.fromkeys(w for _, w in _known())
    return [w for w in known if isinstance(w, Weight) or w.find()] + _others()


def _problems(weight: Weight | Repo) -> Iterator[str]:
    if weight.find() is None:
        yield f"not here; run: {weight.command}"
    elif isinstance(weight, Repo):
        wrong = weight.problems()
        yield from wrong
        if wrong:
            yield f"run: {weight.command}"
    elif not weight.is_whole():
        yield f"not the known sha256; run: {weight.command} --force-reinstall"


def _notes(weight: Weight | Repo) -> list[str]:
    """What is no fault but worth knowing."""
    if not isinstance(weight, Repo) or weight.find() is None:
        return []
    try:
        strangers, lock = weight.strangers(), Lock.load(weight.folder)
    except ValueError:
        return []
    notes = [f"revision {lock.revision} from {lock.source}"]
    return notes + ([f"not of the pull: {', '.join(strangers[:5])}"] if strangers else [])
