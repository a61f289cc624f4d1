"""The verbs, for programs: `analyze` and `ask`. The roof: it looks up to `chat`, inside functions only.

Next: tvad/detector.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tvad import cache
from tvad.evidence import Analysis
from tvad.presets import get_preset
from tvad.settings import Settings
from tvad.weights import require

if TYPE_CHECKING:
    from chat.session import Answer, Session
    from tvad.progress import Progress


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


def open_session(analysis: Analysis, explain: str | None = None) -> "Session":
    """A dialogue about an analysed video. `explain`: report, text, lvlm; None takes the preset's default.

    Raises MissingWeights, and ValueError for a way of answering that the preset does not know.
    """
    preset = get_preset(analysis.evidence.preset)
    explain = explain or preset.explain
    require(preset.needed(explain))

    from chat.session import Session

    if explain != "lvlm":
        return Session(analysis.evidence, explain=explain)

    from tvad.lvlm.adapter import shipped
    from tvad.lvlm.view import view_of

    config = shipped(analysis.evidence.preset).config.rae.view
    return Session(analysis.evidence, explain=explain, view=view_of(*analysis, config=config))


def ask(video: str | Path, question: str, settings: Settings | None = None, *, explain: str | None = None) -> "Answer":
    """The answer to one question about a video. Raises what `analyze` and `open_session` raise."""
    session = open_session(analyze(video, settings), explain)
    for _word in session.ask(question):
        pass
    return session.last
