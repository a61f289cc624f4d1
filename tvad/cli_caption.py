"""`tvad caption`: many videos to captions, unattended. What is done is kept; the same command goes on where it was."""

import sys
import time
from typing import Annotated, Any

import typer

from tvad import cli_show
from tvad.cli_exit import FAILED, UNREADABLE, WRONG_USAGE, checked, named_failures, stop
from tvad.cli_options import with_choice, with_remote, with_settings, words
from tvad.lvlm.choice import Choice
from tvad.settings import Settings

app = typer.Typer()
LINE_S = 20.0  # between two lines of progress where there is no terminal


@app.command()
@with_settings
@with_remote
@with_choice
def caption(
    videos: Annotated[
        list[str],
        typer.Argument(metavar="VIDEOS...", help="Videos, folders, globs, lists (.txt, one path a line), - for stdin."),
    ],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The captions: .jsonl, here or s3://...")],
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    choice: Choice = Choice(),  # noqa: B008 - replaced by flags
    style: Annotated[str, typer.Option("--style", help="short, detailed, timeline or qa.")] = "short",
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="Ask this of every video instead.")
    ] = None,
    remote: Any = None,  # replaced by flags
    explain: Annotated[
        str | None,
        typer.Option("--explain", help="Who words it: report (no model), text or lvlm. Default: the preset's."),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="Also, beside -o: csv, srt, vtt, coco, mot, fiftyone.")
    ] = "",
    workers: Annotated[int | None, typer.Option("--workers", help="Videos looked at at once. Default: cores.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Only the first N videos.")] = None,
    shard: Annotated[str, typer.Option("--shard", metavar="i/n", help="Only the i-th of n shares.")] = "1/1",
    seed: Annotated[int, typer.Option("--seed", help="Of the sample that a clip's own memory keeps.")] = 0,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what was done; begin again.")] = False,
    time_limit: Annotated[
        float, typer.Option("--time-limit", metavar="S", help="Give a video up after S seconds without progress.")
    ] = 300.0,
    memory_limit: Annotated[
        float, typer.Option("--memory-limit", metavar="GB", help="Give a video up whose worker takes more.")
    ] = 4.0,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on with videos that come later, until Ctrl-C; folders may be empty yet."),
    ] = False,
    settled: Annotated[
        float,
        typer.Option("--settled", metavar="S", help="With --follow: begin a video S seconds after it last changed."),
    ] = 10.0,
    idle: Annotated[
        float | None, typer.Option("--idle", metavar="S", help="With --follow: end when nothing came for S seconds.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="local, or ray: many machines (extra ray).")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", metavar="HOST:PORT", help="Of a Ray cluster; without it, one is started.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep analyses.")] = False,
) -> None:
    """Caption many videos: tvad caption clips/ -o captions.jsonl. Killed or not, the same command goes on where it was.

    Exit code 3 when some could not be captioned (failures.jsonl says which and why).
    """
    from tvad import api
    from tvad.batch.follow import Follow
    from tvad.batch.journal import JournalError, OutputFull
    from tvad.remote import RemoteError

    if limit is not None and limit < 1:
        raise typer.BadParameter(f"limit is {limit}; it must be 1 or more (--limit)")
    if idle is not None and not follow:
        raise typer.BadParameter("there is nothing to wait for without --follow (--idle)")
    for line in remote.notes if remote and not quiet else ():
        cli_show.say(line)
    with named_failures(), Counted(quiet, follow) as counted:
        try:
            done = checked(
                lambda: api.caption(
                    videos,
                    out,
                    settings,
                    style=style,
                    prompt=prompt,
                    explain=explain,
                    formats=words(formats) or (),
                    workers=workers,
                    limit=limit,
                    shard=shard,
                    seed=seed,
                    retry_failed=retry_failed,
                    restart=restart,
                    time_limit_s=time_limit,
                    memory_limit_gb=memory_limit,
                    use_cache=not no_cache,
                    engine=engine,
                    address=address,
                    progress=counted,
                    note=None if quiet else cli_show.say,
                    stdin=sys.stdin.buffer,
                    follow=Follow(settled, idle) if follow else None,
                    remote=remote,
                    choice=choice,
                )
            )
        except JournalError as error:
            stop(WRONG_USAGE, str(error))
        except RemoteError as error:
            stop(FAILED, f"{error}. What is done is kept; the same command goes on when the server is there")
        except OutputFull as error:
            stop(FAILED, f"{error}. What is done is kept; mend that and run the same command again")
    if not quiet:
        counted.summary(done)
    for path in done.paths:
        print(cli_show.shown(path))
    if done.failures:
        raise typer.Exit(UNREADABLE)


class Counted:
    """Progress on stderr: a bar on a terminal, a line now and then otherwise. Call it with a Count."""

    def __init__(self, quiet: bool, endless: bool = False) -> None:
        self._quiet, self._endless, self._line = quiet, endless, ""
        self._began_s = self._told_s = time.monotonic()
        self._tall = sys.stderr.isatty()

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        if self._tall and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, count: Any) -> None:
        now = time.monotonic()
        if self._quiet or now - self._told_s < (0.5 if self._tall else LINE_S):
            return
        self._told_s = now
        line = self.line(count)
        if self._tall:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif not self._endless or line != self._line:  # a log of days needs no line for each moment of nothing
            cli_show.say(line)
        self._line = line

    def line(self, count: Any) -> str:
        """ "12 of 300 (2 failed), 3.1 video-minutes a minute, ETA 0:12:30"; endless: "12 captioned, 2 in hand"."""
        if self._endless:
            failed = f", {count.failed} failed" if count.failed else ""
            return f"{count.done} captioned{failed}, {count.left} in hand; Ctrl-C ends"
        took_s = time.monotonic() - self._began_s
        ended = count.done + count.failed
        rate = (count.video_s + count.under_way_s) / max(took_s, 1e-9)
        eta = cli_show.clock(took_s / ended * count.left).split(".")[0] if ended else "unknown"
        failed = f" ({count.failed} failed)" if count.failed else ""
        return f"{count.before + ended} of {count.total}{failed}, {rate:.1f} video-minutes a minute, ETA {eta}"

    def summary(self, done: Any) -> None:
        """Lines at the end."""
        count, took_s = done.count, time.monotonic() - self._began_s
        cli_show.say(
            f"{count.done} captioned ({count.anomalous} with an anomaly), {count.before} known from before, "
            f"{count.failed} failed; {count.video_s / 60:.1f} minutes of video in {cli_show.clock(took_s)} "
            f"({count.video_s / max(took_s, 1e-9):.1f} a minute)"
        )
        if done.failures:
            cli_show.say(f"failures: {done.failures} (--retry-failed tries them again)")
