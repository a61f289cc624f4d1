"""The local engine: videos are looked at in worker processes while the captions of those before are worded here.

Every caption is in the journal, on the disk, before it counts; what the journal has is not done again.

Next: chat/captions/files.py
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from chat.captions.early import Early
from chat.captions.seeing import SeeingConversations, Shown
from chat.captions.served import Served
from chat.captions.together import Conversations
from chat.captions.words import Wanted, record_of
from chat.keyframes import KeyFrame, key_frames
from chat.session import Answer, Session
from tvad import cache
from tvad.batch.follow import Arrivals
from tvad.batch.inputs import Item, item_of
from tvad.batch.journal import Journal
from tvad.batch.pool import EARLY, Limits, More, Outcome, Pool, Task, Tell, Unfit
from tvad.batch.storage import at_hand
from tvad.evidence import Evidence
from tvad.lvlm.choice import Choice
from tvad.lvlm.view import View
from tvad.presets import get_preset
from tvad.presets.base import Preset
from tvad.presets.mini import SMOLLM2_135M
from tvad.remote import Remote, RemoteError
from tvad.settings import Settings
from tvad.video import VideoError, probe, sha256_of


@dataclass(frozen=True)
class Looked:
    """What wording a caption needs of an analysed video. view: what a language model is shown of it, if any: frames for
    one that looks at them itself; frames: where a server is, None when they cannot be read. key: of a video that grew
    while it was looked at, as it was at the end."""

    evidence: Evidence
    view: View | Shown | None = None
    frames: Sequence[KeyFrame] | None = None
    key: str | None = None


@dataclass(frozen=True)
class Look:
    """Makes the task of a worker: an item to what is found in it. seed: of the sample that a clip's memory keeps.
    pictures: key frames for a server, at most; None without one. choice: of a full-size language model, which is shown
    frames; None without one."""

    settings: Settings
    explain: str = "report"
    use_cache: bool = True
    seed: int = 0
    threads: int | None = None
    pictures: int | None = None
    choice: Choice | None = None

    def __call__(self) -> Task[Looked]:
        """Load what the analysis needs. MissingWeights, SceneError, OSError or ValueError where that fails."""
        if self.threads:
            os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))
        from tvad.detector import Detector

        detector = Detector.from_settings(self.settings)
        if self.seed:
            detector = replace(detector, seed=self.seed)
        config = None
        if self.explain == "lvlm" and not self._preset.backbone:
            from tvad.lvlm.adapter import shipped

            config = shipped(self.settings.preset).config.rae.view

        def look(item: Item, tell: Tell) -> Looked:
            try:
                return self._looked(detector, item, tell, config)
            except VideoError as error:
                raise Unfit(error.args[0].removeprefix(f"{item.path}: ")) from None

        return look

    @property
    def _preset(self) -> Preset:
        return get_preset(self.settings.preset)

    def _looked(self, detector: Any, item: Item, tell: Tell, config: Any) -> Looked:
        from tvad.early import found_so_far
        from tvad.lvlm.view import view_of

        with at_hand(item.path) as path:
            probe(path)  # what cannot be read is said before it is hashed
            grown: str | None = None
            # An analysis with another seed is not the one that the cache knows; nor what is not yet there.
            known = self.use_cache and not self.seed and item.wait_s is None
            key = cache.analysis_key(sha256_of(path), self.settings) if known else None
            analysis = cache.load(key, item.path) if key else None
            if analysis is None:
                reader = detector.reader(path, item.wait_s)
                early = None
                if item.wait_s:
                    early = Early(partial(found_so_far, detector, reader), tell.early)
                scan = detector.scan(reader, lambda p: tell(p.done_s, p.total_s), look=early)
                analysis = detector.conclude(reader, scan)
                with suppress(OSError):
                    grown = item_of(item.path).key if item.wait_s and not reader.grew else None
                video = replace(analysis.evidence.video, path=item.path)
                analysis = analysis._replace(evidence=replace(analysis.evidence, video=video))
                if key:
                    with suppress(OSError):  # a cache that cannot be written costs time only
                        cache.store(key, analysis)
            frames = None
            if self.pictures is not None:
                with suppress(VideoError, OSError):  # the server is told that there are none
                    frames = key_frames(analysis, path, self.pictures)
            shown = None
            if self.choice is not None and self.explain != "report":
                from tvad.seeing import frames_of, look_at

                injected = self.explain == "lvlm"
                seen = look_at(analysis, path, frames_of(self._preset, self.choice), marked=not injected)
                shown = Shown(*seen, analysis.curves if injected else None)
        view = view_of(analysis.evidence, analysis.curves, config=config) if config else None
        return Looked(analysis.evidence, shown or view, frames, grown)


@dataclass
class Count:
    """How far a batch is. video_s: seconds of video captioned in this run; under_way_s: of those in the works."""

    total: int = 0
    before: int = 0
    done: int = 0
    failed: int = 0
    anomalous: int = 0
    video_s: float = 0.0
    under_way_s: float = 0.0

    @property
    def left(self) -> int:
        return self.total - self.before - self.done - self.failed


def todo(items: Sequence[Item], journal: Journal, retry_failed: bool) -> list[Item]:
    """What the journal does not have yet, or, if told, has as a failure."""
    return [i for i in items if i.key not in journal or (retry_failed and not journal.is_ok(i.key))]


def caption_all(
    items: Sequence[Item],
    journal: Journal,
    look: Callable[[], Task[Looked]],
    wanted: Wanted,
    workers: int,
    limits: Limits,
    retry_failed: bool = False,
    preset: str = "mini",
    batch: int = 8,
    arrivals: Arrivals | More | None = None,
    early: Callable[[Any], None] | None = None,
    remote: Remote | None = None,
    choice: Choice | None = None,
) -> Iterator[Count]:
    """Caption what the journal does not have yet, each into it as it is done; yields the count after every step.

    retry_failed: what failed before is tried again. batch: captions worded together at most. arrivals: videos that come
    later, as `Pool.run` has them. early: told the Evidence of what was found in a video that still grows. remote: a
    server that words the captions; RemoteError when it is gone.
    """
    left = todo(items, journal, retry_failed)
    count = Count(total=len(items), before=len(items) - len(left))
    yield count
    if not left and not arrivals:
        return

    def more(busy: bool) -> list[Item] | None:
        assert arrivals
        later = arrivals(busy)
        count.total += len(later or ())
        return later

    device = getattr(look, "settings", Settings()).device
    narrator = Narrator(wanted, preset, remote, choice, device)
    with Pool(look, workers if arrivals else min(workers, len(left)), limits, ahead=2 * batch) as pool:
        for found in pool.run(left, more if arrivals else None):
            outcomes = [o for o in found if o.kind != EARLY]
            for told in found:
                if told.kind == EARLY and early:
                    early(told.value)
            for some in (outcomes[n : n + batch] for n in range(0, len(outcomes), batch)):
                # One that grew and could not be read is not done: it is handed out again when it grows no more.
                _write([o for o in some if o.value is not None or not o.item.wait_s], journal, narrator, count)
                count.total -= sum(o.value is None and o.item.wait_s is not None for o in some)
                for outcome in some:
                    if outcome.item.wait_s and isinstance(arrivals, Arrivals):
                        arrivals.ended(outcome.item.path)
                yield count
            count.under_way_s = pool.under_way_s
            yield count


def _write(outcomes: Sequence[Outcome[Looked]], journal: Journal, narrator: "Narrator", count: Count) -> None:
    looked = [(o.item, o.value) for o in outcomes if o.value is not None]
    told = narrator.records([value for _, value in looked])
    failed, good = [o for o in outcomes if o.value is None], []
    for (item, value), record in zip(looked, told, strict=True):
        if isinstance(record, RemoteError):
            failed.append(Outcome(item, None, str(record), "model"))
        else:
            good.append((item, value, record))
    entries = [(value.key or item.key, item.path, True, record) for item, value, record in good]
    journal.append([*entries, *((o.item.key, o.item.path, False, failure(o)) for o in failed)])
    count.done += len(good)
    count.failed += len(failed)
    count.anomalous += sum(record["has_anomaly"] for _, _, record in good)
    count.video_s += sum(value.evidence.video.duration_s for _, value, _ in good)


class Narrator:
    """Words the captions of some videos at once; a language model in this process is loaded for the first ones. remote:
    a server that is asked instead. choice, device: of a full-size language model."""

    def __init__(
        self,
        wanted: Wanted,
        preset: str,
        remote: Remote | None = None,
        choice: Choice | None = None,
        device: str = "cpu",
    ) -> None:
        self._wanted, self._preset, self._choice, self._device = wanted, preset, choice or Choice(), device
        self._served = Served(remote) if remote else None
        self._together: Conversations | None = None

    def records(self, looked: Sequence[Looked]) -> list[Any]:
        """What is written about each, a dict, or the RemoteError for which there is none."""
        if not looked:
            return []
        if self._served:
            said = self._served.about([(found.evidence, found.frames) for found in looked], self._wanted.questions)
            return [
                told if isinstance(told, RemoteError) else record_of(found.evidence, self._wanted, told)
                for found, told in zip(looked, said, strict=True)
            ]
        answers = [answers_about(found, self._wanted) for found in looked] if self._one_by_one else self._asked(looked)
        return [record_of(found.evidence, self._wanted, said) for found, said in zip(looked, answers, strict=True)]

    @property
    def _one_by_one(self) -> bool:
        if self._sees:
            return self._wanted.by_rules
        weights = get_preset(self._preset).needed(self._wanted.explain)
        return self._wanted.by_rules or [w.name for w in weights] != [SMOLLM2_135M.name]

    @property
    def _sees(self) -> bool:
        return bool(get_preset(self._preset).backbone) and self._wanted.explain != "report"

    def _asked(self, looked: Sequence[Looked]) -> list[list[Answer]]:
        if self._together is None:
            if self._sees:
                self._together = SeeingConversations(self._preset, self._wanted.explain, self._choice, self._device)
            else:
                self._together = Conversations(self._preset, self._wanted.explain)
        return self._together.about([(found.evidence, found.view) for found in looked], self._wanted.questions)


def answers_about(found: Looked, wanted: Wanted) -> list[Answer]:
    """What is answered to the questions of a caption, in one dialogue; none where the caption is made by rules."""
    if wanted.by_rules:
        return []
    view = None if isinstance(found.view, Shown) else found.view
    session = Session(found.evidence, wanted.explain, view=view)
    answers = []
    for question in wanted.questions:
        for _word in session.ask(question):
            pass
        answers.append(session.last)
    return answers


def failure(outcome: Outcome[Any]) -> dict[str, Any]:
    """What is written about a video that could not be captioned."""
    return {"video": {"path": outcome.item.path}, "kind": outcome.kind, "reason": outcome.reason}


def about(settings: Settings, wanted: Wanted, seed: int, choice: Choice | None = None) -> dict[str, Any]:
    """What all captions of one journal have in common. choice: of a full-size language model.

    The scene counts by content. OSError when it cannot be read.
    """
    scene = sha256_of(settings.scene) if settings.scene else None
    chosen = {"lvlm": {name: str(value) for name, value in asdict(choice).items()}} if choice else {}
    return settings.to_dict() | {"scene": scene, "seed": seed, **asdict(wanted), **chosen}
