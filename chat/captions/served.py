"""Captions in the words of a language model on a server: some videos asked about at once, as servers like it.

A video about which the server gives no answer is a failure, to be tried again; a server that answers nothing any more
ends the run, so that an hour of it costs no video its caption.

Next: tvad/remote.py
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from chat.keyframes import KeyFrame
from chat.session import Answer, Session
from tvad.evidence import Evidence
from tvad.remote import Remote, RemoteError, RemoteSpeaker
from tvad.video import VideoError

AT_ONCE = 4  # videos that are asked about side by side


class Served:
    """A server's answers about many videos. RemoteError, with the first videos, where it cannot be asked at all."""

    def __init__(self, remote: Remote) -> None:
        # Nobody waits for a first word here, and four that are asked at once may be answered one after another.
        self._remote = replace(remote, first_s=remote.whole_s)

    def about(
        self, videos: Sequence[tuple[Evidence, Sequence[KeyFrame] | None]], questions: Sequence[str]
    ) -> list[list[Answer] | RemoteError]:
        """The answers to all questions, of every video, or why there are none. RemoteError when the server is gone."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = list(threads.map(lambda video: self._answers(video[0], video[1], questions), videos))
        if any(isinstance(answers, RemoteError) for answers in found):
            self._knock()
        return found

    def _answers(
        self, evidence: Evidence, frames: Sequence[KeyFrame] | None, questions: Sequence[str]
    ) -> list[Answer] | RemoteError:
        speaker = _Heeded(RemoteSpeaker(self._remote))
        session = Session(evidence, "text", explainer=speaker, frames=shown(frames))
        answers = []
        for question in questions:
            for _word in session.ask(question):
                pass
            if speaker.trouble:
                return speaker.trouble
            answers.append(session.last)
        return answers

    def _knock(self) -> None:
        """RemoteError where the server does not say a word about anything."""
        hello = [{"role": "user", "content": "Say hello."}]
        for _word in RemoteSpeaker(self._remote).stream(hello, max_new_tokens=16):
            pass


class _Heeded:
    """A speaker whose failure is kept: in a dialogue the narrator would answer for it, with a note."""

    def __init__(self, speaker: RemoteSpeaker) -> None:
        self._speaker = speaker
        self.trouble: RemoteError | None = None

    def stream(
        self, messages: Sequence[Mapping[str, Any]], max_new_tokens: int = 400, first: Sequence[str] = ()
    ) -> Iterator[str]:
        try:
            yield from self._speaker.stream(messages, max_new_tokens, first)
        except RemoteError as error:
            self.trouble = error
            raise


def shown(frames: Sequence[KeyFrame] | None) -> Callable[[], Sequence[KeyFrame]]:
    """Key frames as a `Session` takes them; None are those of a video that could not be read a second time."""

    def get() -> Sequence[KeyFrame]:
        if frames is None:
            raise VideoError("no picture of it can be read")
        return frames

    return get
