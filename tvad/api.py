"""The verbs, for programs: `analyze`, `ask`, `caption`. The roof: it looks up to `chat`, inside functions only.

Next: tvad/detector.py
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tvad import cache
from tvad.evidence import Analysis
from tvad.lvlm.choice import Choice
from tvad.presets import get_preset
from tvad.settings import Settings
from tvad.weights import MissingWeights, require

if TYPE_CHECKING:
    from chat.captions.engine import Count
    from chat.session import Answer, Session
    from tvad.batch.follow import Follow
    from tvad.presets.base import Preset
    from tvad.progress import Progress
    from tvad.remote import Remote


def analyze(
    video: str | Path,
    settings: Settings | None = None,
    *,
    use_cache: bool = True,
    progress: "Callable[[Progress], None] | None" = None,
    note: Callable[[str], None] | None = None,
) -> Analysis:
    """What is anomalous in a video, from the cache when it was analysed before with the same settings.

    `note` is told one line when the cache served or could not be written, or networks are prepared. Raises VideoError
    (unreadable video), MissingWeights, ValueError (unknown preset), OSError (unreadable scene file).
    """
    from tvad.video import probe, sha256_of

    settings = settings or Settings()
    preset = get_preset(settings.preset)
    tell = note or (lambda line: None)
    probe(video)  # an unreadable video is said before any model loads
    key = cache.analysis_key(sha256_of(video), settings) if use_cache else None
    if key and (known := cache.load(key, str(video))):
        tell("analysed before with these settings: taken from the cache (--no-cache repeats the analysis)")
        return known
    require(preset.analysis)

    from tvad.detector import Detector

    analysis = Detector.from_settings(settings, tell).analyze(video, progress)
    if key:
        try:
            cache.store(key, analysis)
        except OSError as error:
            tell(f"the analysis is not kept: the cache cannot be written ({error})")
    return analysis


def open_session(
    analysis: Analysis,
    explain: str | None = None,
    remote: "Remote | None" = None,
    source: str | Path | None = None,
    choice: Choice | None = None,
    note: Callable[[str], None] | None = None,
) -> "Session":
    """A dialogue about an analysed video. `explain`: report, text, lvlm; None takes the preset's default.

    remote: a server whose language model words the answers of the way `text`, which is then the default; it is sent
    the evidence and key frames of the video at `source` (None: where the evidence says it lies). choice: which model,
    for a preset whose language model looks at that video itself. note: is told one line where the default is not to be
    had. Raises MissingWeights, RemoteError without the package that speaks HTTP, and ValueError for a way of answering
    the preset does not know.
    """
    preset = get_preset(analysis.evidence.preset)
    source = source or analysis.evidence.video.path
    if remote is not None and explain in (None, "text"):
        return _told_by(remote, analysis, source)
    if preset.backbone:
        return _open_seeing(analysis, explain, choice or Choice(), source, note)
    explain = _way(preset, explain, choice or Choice(), note)
    require(preset.needed(explain))

    from chat.session import Session

    if explain != "lvlm":
        return Session(analysis.evidence, explain=explain)

    from tvad.lvlm.adapter import shipped
    from tvad.lvlm.view import view_of

    config = shipped(analysis.evidence.preset).config.rae.view
    return Session(analysis.evidence, explain=explain, view=view_of(*analysis, config=config))


def _told_by(remote: "Remote", analysis: Analysis, source: str | Path) -> "Session":
    from chat.keyframes import key_frames
    from chat.session import Session
    from tvad.remote import RemoteSpeaker

    return Session(
        analysis.evidence,
        explain="text",
        explainer=RemoteSpeaker(remote),
        frames=lambda: key_frames(analysis, source, remote.pictures),
    )


def _open_seeing(
    analysis: Analysis, explain: str | None, choice: Choice, video: str | Path, note: Callable[[str], None] | None
) -> "Session":
    from chat.session import Session

    preset = get_preset(analysis.evidence.preset)
    explain = _way(preset, explain, choice, note)
    if explain == "report":
        return Session(analysis.evidence, explain=explain)
    from tvad.explainer import open_seeing

    told = explain == "text"
    explainer = open_seeing(analysis, preset.name, choice, video, told, note or (lambda line: None))
    return Session(analysis.evidence, explain=explain, explainer=explainer)


def _way(preset: "Preset", explain: str | None, choice: Choice, note: Callable[[str], None] | None) -> str:
    """The way of answering: the one asked for, or the best that the preset can."""
    if not preset.backbone:
        if choice != Choice():
            raise ValueError(
                f"preset {preset.name!r} brings its language model; there is nothing to choose (--weights)"
            )
        return explain or preset.explain
    from tvad.seeing import adapter_of

    preset.needed(explain or preset.explain)
    trained = explain != "report" and adapter_of(preset, choice) is not None
    if explain == "lvlm" and not trained:
        raise MissingWeights(
            f"there is no trained adapter for preset {preset.name!r}; use --explain text, or train one: "
            f"tvad train lvlm --preset {preset.name} --weights FOLDER, then --adapter"
        )
    if explain is None and not trained and note:
        note(
            f"no trained adapter for {preset.name}: the language model is told the findings in words and sees them "
            "as boxes on the frames (--explain text); nothing is injected"
        )
    return explain or ("lvlm" if trained else "text")


def ask(
    video: str | Path,
    question: str,
    settings: Settings | None = None,
    *,
    explain: str | None = None,
    remote: "Remote | None" = None,
    choice: Choice | None = None,
) -> "Answer":
    """The answer to one question about a video. Raises what `analyze` and `open_session` raise."""
    session = open_session(analyze(video, settings), explain, remote, video, choice)
    for _word in session.ask(question):
        pass
    return session.last


ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Captioned:
    """What a batch did. paths: the files it wrote. failures: the file of failures, where there are any.
    failed_before: failures of earlier runs that were not tried again."""

    count: "Count"
    paths: tuple[Path | str, ...]
    failures: Path | str | None
    failed_before: int


def caption(
    videos: Sequence[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    *,
    style: str = "short",
    prompt: str | None = None,
    explain: str | None = None,
    formats: Sequence[str] = (),
    workers: int | None = None,
    limit: int | None = None,
    shard: str = "1/1",
    seed: int = 0,
    retry_failed: bool = False,
    restart: bool = False,
    time_limit_s: float = 300.0,
    memory_limit_gb: float = 4.0,
    use_cache: bool = True,
    engine: str = "local",
    address: str | None = None,
    progress: "Callable[[Count], None] | None" = None,
    note: Callable[[str], None] | None = None,
    stdin: IO[bytes] | None = None,
    follow: "Follow | None" = None,
    remote: "Remote | None" = None,
    choice: Choice | None = None,
) -> Captioned:
    """Caption many videos into `out` (JSON lines); what an earlier call with the same `out` did is kept.

    formats: of chat.captions.formats.FORMATS, written beside `out`, which may lie elsewhere (s3://bucket/c.jsonl).
    engine: one of ENGINES; address: of a Ray cluster.
    follow: what comes later is captioned too, until it is idle or KeyboardInterrupt, and `out` renewed now and then.
    remote: a server whose language model words the captions, by the way `text`.
    choice: as `open_session` has it.

    Called from a script, it needs the script's `if __name__ == "__main__":`, for it starts processes. Raises ValueError
    (a wrong choice), MissingWeights, SceneError, OSError (an unreadable scene or output), JournalError (`out` was begun
    with other settings, or another run writes it), OutputFull (no room; what is done is kept) and RemoteError (no
    server; likewise). A video that cannot be captioned raises nothing.
    """
    from chat.captions import engine as local
    from chat.captions.early import EventLines
    from chat.captions.outputs import Outputs
    from chat.captions.words import Wanted
    from tvad.batch.follow import Arrivals
    from tvad.batch.inputs import Shard, collect
    from tvad.batch.journal import Journal
    from tvad.batch.pool import Limits

    settings, outputs = settings or Settings(), Outputs.at(out, formats)
    preset = get_preset(settings.preset)
    if remote and (explain not in (None, "text") or engine != "local"):
        raise ValueError("a server is asked in the way text, from this machine (--lvlm-url, --explain, --engine)")
    wanted = Wanted(style, "text" if remote else _way(preset, explain, choice or Choice(), note), prompt)
    if engine == "ray" and preset.backbone:
        raise ValueError(
            f"preset {preset.name!r} captions on this machine; for several, give each a --shard (--engine)"
        )
    if engine not in ENGINES or (address and engine != "ray"):
        raise ValueError(f"engine {engine!r} with address {address!r}; choose one of {ENGINES}, an address with ray")
    run: Any = local.caption_all
    if engine == "ray":
        from chat.captions.ray_engine import Cluster, caption_on_ray

        run = partial(caption_on_ray, cluster=Cluster(address, float(settings.device.startswith("cuda")) / 2))
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; it must be 1 or more (--workers)")
    limits = Limits(time_limit_s, memory_limit_gb)
    given, share = [os.fspath(v) for v in videos], Shard.parse(shard)
    if follow and (limit or share.count > 1 or engine != "local"):
        raise ValueError("what is followed has no first N and no shares, and is captioned on this machine (--follow)")
    items = [] if follow else collect(given, stdin, share)[:limit]
    own = choice is not None and choice.weights is not None  # a folder of the person's instead of what was pulled
    require((*preset.analysis, *(() if remote or own else preset.needed(wanted.explain))))
    seeing: dict[str, Any] = {"choice": choice or Choice()} if preset.backbone and not remote else {}
    if remote:
        from tvad.remote import RemoteSpeaker

        remote = replace(remote, model=RemoteSpeaker(remote).name())
        wanted = replace(wanted, model=remote.model, pictures=remote.pictures)
        run = partial(run, remote=remote)
    run = partial(run, **seeing)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    look = local.Look(settings, wanted.explain, use_cache, seed, pictures=wanted.pictures, **seeing)
    count, keys, arrivals = local.Count(), [item.key for item in items], None
    journal = Journal(outputs.journal, local.about(settings, wanted, seed, **seeing), restart)
    if follow:
        workers = workers or cores
        known = lambda key: key in journal and (journal.is_ok(key) or not retry_failed)  # noqa: E731
        arrivals = Arrivals(given, follow, known, growing=max(1, workers - 1))
        run = partial(run, arrivals=arrivals, early=EventLines(outputs.early, note))
    with journal:
        outputs.begin(journal)
        if journal.lost and note:
            note(f"{journal.path}: {journal.lost} damaged lines; their videos are captioned again")
        try:
            for count in run(items, journal, look, wanted, workers or cores, limits, retry_failed, preset.name):
                if progress:
                    progress(count)
                keys = arrivals.keys if arrivals else keys
                if arrivals or outputs.elsewhere:
                    outputs.refresh(journal, keys)
        except KeyboardInterrupt:
            if not follow:
                raise  # of what is followed it is the ordinary end
        finally:
            failed = outputs.write(journal, keys)
    return Captioned(
        count, outputs.places, outputs.place_of(outputs.failures) if failed else None, max(0, failed - count.failed)
    )
