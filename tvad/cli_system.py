"""The commands about the program itself: doctor, cache, version."""

import datetime
from typing import Annotated

import typer

from tvad import __version__, cache, cli_show

app = typer.Typer()
cache_app = typer.Typer(help="Show or clear the analyses that are kept.", invoke_without_command=True)
app.add_typer(cache_app, name="cache")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def doctor(as_json: Json = False) -> None:
    """What this machine has and lacks. Exit code 4 when weights are missing or damaged."""
    from tvad.doctor import examine

    checks = examine()
    if as_json:
        cli_show.print_json({"ok": all(check.ok for check in checks), "checks": checks})
    else:
        marks = {True: "ok", False: "MISSING"}
        cli_show.table(("", "what", "found"), ((marks[check.ok], check.name, check.found) for check in checks))
    if any(check.is_weight and not check.ok for check in checks):
        raise typer.Exit(4)


@cache_app.callback()
def cache_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        cache_list()


@cache_app.command("list")
def cache_list(as_json: Json = False) -> None:
    """The analyses that are kept, most recently used first."""
    known = cache.entries()
    if as_json:
        return cli_show.print_json({"path": cache.analyses_dir(), "entries": known})
    cli_show.table(
        ("key", "size", "last used", "video"),
        ((e.key[:12], cli_show.size(e.size_bytes), _day(e.used_at_s), e.video) for e in known),
    )
    total = cli_show.size(sum(entry.size_bytes for entry in known))
    cli_show.say(f"{len(known)} analyses, {total} in {cache.analyses_dir()}; `tvad cache clear` drops them")


@cache_app.command("clear")
def cache_clear() -> None:
    """Drop every analysis that is kept."""
    cli_show.say(f"{cache.clear()} analyses dropped")


@cache_app.command("path")
def cache_path() -> None:
    """The folder of everything tvad keeps."""
    print(cli_show.shown(cache.cache_dir()))


@app.command()
def version() -> None:
    """The version of tvad."""
    print(__version__)


def _day(moment_s: float) -> str:
    return datetime.datetime.fromtimestamp(moment_s).strftime("%Y-%m-%d %H:%M")
