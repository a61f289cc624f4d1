"""The commands. Messages go to stderr, data to stdout.

Exit codes: 0 done (also when nothing is anomalous), 1 something failed, 2 wrong usage, 3 the video cannot be read,
4 weights are missing, 130 interrupted. The roof: it looks up to `chat`, inside functions only, and imports nothing
heavy before a command runs.

Next: tvad/api.py
"""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tvad import cache, cli_caption, cli_models, cli_serve, cli_show, cli_synth, cli_system, cli_temporal, cli_train
from tvad.cli_exit import FAILED, checked, named_failures, report_bug, stop, terminated
from tvad.cli_options import with_choice, with_remote, with_settings
from tvad.evidence import Analysis, Curves, Evidence
from tvad.lvlm.choice import Choice
from tvad.malloc import frugal
from tvad.settings import Settings

app = typer.Typer(
    name="tvad",
    help="Ask a video what is anomalous, and check every answer.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_caption.app)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_serve.app)
app.add_typer(cli_system.app)
app.add_typer(cli_synth.app)
app.add_typer(cli_temporal.app)
app.add_typer(cli_train.app, name="train")

Video = Annotated[str, typer.Argument(metavar="VIDEO", help="A video file, an image, or a folder of frames.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write the pictures and files here.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep the analysis.")]
Explain = Annotated[
    str | None,
    typer.Option("--explain", help="Who answers: report (no language model), text or lvlm. Default: the preset's."),
]


def obtain(video: str, settings: Settings, use_cache: bool, quiet: bool) -> Analysis:
    """Analyse, or take from the cache, with progress on stderr; the warnings of the analysis follow as messages."""
    from tvad import api

    if use_cache:
        checked(cache.limit_bytes)
    with cli_show.Meter(f"analysing {video}", quiet) as meter:
        note = None if quiet else cli_show.say
        analysis = api.analyze(video, settings, use_cache=use_cache, progress=meter, note=note)
    if not quiet:
        for warning in analysis.evidence.warnings:
            cli_show.say(f"warning: {warning}")
    return analysis


def reopen(path: Path) -> Analysis:
    """An analysis that `tvad analyze` wrote: evidence.json, with the scores.npz beside it where there is one."""
    import numpy as np

    if not path.is_file():
        raise typer.BadParameter(
            f"no evidence file {str(path)!r}; `tvad analyze VIDEO -o DIR` writes DIR/evidence.json"
        )
    evidence = Evidence.load(path)
    curves = path.with_name("scores.npz")
    if curves.is_file():
        return Analysis(evidence, Curves.load(curves))
    return Analysis(
        evidence, Curves(np.zeros(0), np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 1, 1), np.float16))
    )


@app.command()
@with_choice
@with_settings
@with_remote
def ask(
    video: Annotated[str, typer.Argument(metavar="[VIDEO]", help="A video; leave it out with --evidence.")],
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="In your own words.")] = None,
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    choice: Choice = Choice(),  # noqa: B008 - replaced by flags
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="FILE", help="An evidence.json instead of analysing.")
    ] = None,
    out: Out = None,
    explain: Explain = None,
    remote: Any = None,
    as_json: Json = False,
    quiet: Quiet = False,
    no_cache: NoCache = False,
) -> None:
    """Answer a question about a video: tvad ask clip.mp4 "what is anomalous?" """
    if question is None and evidence is not None:
        video, question = "", video
    if question is None:
        raise typer.BadParameter('a question is missing: tvad ask VIDEO "what is anomalous?"')
    began_s = time.monotonic()
    with named_failures():
        analysis = checked(lambda: reopen(evidence)) if evidence else obtain(video, settings, not no_cache, quiet)
        timings_s = {"analysis": time.monotonic() - began_s}
        session = open_session(analysis, explain, remote, video or None, choice, quiet)
        tell_remote(remote, quiet)
        speak(session.ask(question), timings_s, echo=not as_json)
        answer = session.last
        if not as_json:
            cli_show.print_citations(answer.citations, answer.conflicts)
            cli_show.print_events(analysis.evidence)
        paths = write_pictures(analysis, out, quiet) if out else {}
        timings_s["total"] = time.monotonic() - began_s
        if as_json:
            said = answer_object(analysis.evidence, answer, session.explain, timings_s)
            cli_show.print_json(said | ({"paths": paths} if paths else {}))
        else:
            cli_show.print_paths(paths)


def open_session(
    analysis: Analysis, explain: str | None, remote: Any, source: str | None, choice: Choice, quiet: bool
) -> Any:
    """The dialogue; an unknown way of answering is wrong usage. remote: a tvad.remote.Remote. source: None for where
    the evidence has the video."""
    from tvad import api

    note = None if quiet else cli_show.say
    try:
        return checked(lambda: api.open_session(analysis, explain, remote, source, choice, note))
    except RuntimeError as error:  # a server is asked with a package that is not here
        stop(FAILED, str(error))


def tell_remote(remote: Any, quiet: bool) -> None:
    """Say what goes to which server before anything does."""
    for note in remote.notes if remote and not quiet else ():
        cli_show.say(note)


def speak(words: Iterator[str], timings_s: dict[str, float], echo: bool) -> None:
    """Let the words out as they come; the times of the first and of the last one go to `timings_s`."""
    began_s = time.monotonic()
    for word in words:
        timings_s.setdefault("first_word", time.monotonic() - began_s)
        if echo:
            cli_show.print_words(word)
    timings_s["answer"] = time.monotonic() - began_s
    if echo:
        print()


def answer_object(evidence: Evidence, answer: Any, explain: str, timings_s: dict[str, float]) -> dict[str, Any]:
    """What `tvad ask --json` prints. has_anomaly and confidence: see chat.session.verdict_of."""
    from chat.session import verdict_of

    has_anomaly, confidence = verdict_of(evidence, answer)
    return {
        "answer": answer.text,
        "has_anomaly": has_anomaly,
        "confidence": confidence,
        "events": evidence.events,
        "citations": answer.citations,
        "conflicts": answer.conflicts,
        "preset": evidence.preset,
        "explain": explain,
        "timings_s": {name: round(value, 4) for name, value in timings_s.items()},
    }


def write_pictures(analysis: Analysis, out: Path, quiet: bool) -> dict[str, Path]:
    """All outputs in the folder `out`; an analysis without curves has no heat to draw. Returns name -> path."""
    from tvad.outputs import write_outputs

    if not analysis.curves.scores.size:
        raise typer.BadParameter("there is no scores.npz beside the evidence; the pictures need it (leave out -o)")
    with cli_show.Meter("drawing", quiet) as meter:
        return write_outputs(analysis, out, analysis.evidence.video.path, progress=meter.at)


@app.command()
@with_settings
def analyze(
    video: Video,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the results.")],
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    as_json: Json = False,
    quiet: Quiet = False,
    no_cache: NoCache = False,
) -> None:
    """Write evidence.json, scores.npz, overlay.mp4, timeline.png, trajectory.png and a clip of each event."""
    with named_failures():
        analysis = obtain(video, settings, not no_cache, quiet)
        paths = write_pictures(analysis, out, quiet)
        if as_json:
            cli_show.print_json({"has_anomaly": analysis.evidence.has_anomaly, "paths": paths})
        else:
            cli_show.print_paths(paths)


@app.command()
@with_choice
@with_settings
@with_remote
def chat(
    video: Video,
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    choice: Choice = Choice(),  # noqa: B008 - replaced by flags
    out: Out = None,
    explain: Explain = None,
    remote: Any = None,
    quiet: Quiet = False,
    no_cache: NoCache = False,
) -> None:
    """Ask about one video, question after question; /help lists the commands of the dialogue."""
    from tvad.cli_chat import Dialogue

    with named_failures():
        analysis = obtain(video, settings, not no_cache, quiet)
        session = open_session(analysis, explain, remote, video, choice, quiet)
        tell_remote(remote, quiet)
        Dialogue(analysis, session, out or Path(f"{Path(video).stem}.tvad")).run(sys.stdin)


@app.command()
@with_settings
def calibrate(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEOS...", help="Normal footage of one camera.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="X.scene.safetensors", help="The scene file to write.")],
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn what is normal before one camera; then use --scene."""
    from tvad.presets import get_preset
    from tvad.weights import require

    with named_failures():
        from tvad.video import probe

        for video in videos:
            probe(video)
        require(get_preset(settings.preset).analysis)
        from tvad.calibrate import calibrate as learn

        with cli_show.Meter("calibrating", quiet) as meter:
            report = checked(lambda: learn(videos, out, settings, meter))
        if as_json:
            cli_show.print_json(report)
        else:
            cli_show.print_paths({"scene": Path(report.path)})
        if not quiet:
            cli_show.say(
                f"{report.patches} normal patches from {report.frames} frames of {report.clips} clips "
                f"({report.seconds:.0f} s); use it: --scene {report.path}"
            )


def main(arguments: list[str] | None = None) -> None:
    """Run a command; always ends in SystemExit with the exit code, or in the exception of a bug."""
    sys.excepthook = report_bug
    frugal()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an undecodable file name must not end the run
    # A job in the background of a script inherits an ignored SIGINT; who sends one means it. SIGTERM unwinds as well,
    # so that temporary files go.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminated)
    command = typer.main.get_command(app)  # calling `app` itself would put Typer's own excepthook in place
    command(args=dashed(sys.argv[1:] if arguments is None else arguments), prog_name="tvad")


def dashed(arguments: list[str]) -> list[str]:
    """Existing files whose names start with a dash, written so that they are no flags: -a.mp4 -> ./-a.mp4."""
    if "--" in arguments:
        return arguments
    return [f"./{a}" if a[:1] == "-" and "." in a and Path(a).exists() else a for a in arguments]
