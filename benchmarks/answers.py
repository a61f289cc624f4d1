"""How long after the analysis a person waits for the first word of `--explain lvlm`, and how fast the words come.

    python benchmarks/answers.py [VIDEO]

Run it twice: the first time converts the model, once for an adapter. Loading it counts.
"""

import statistics
import sys
import time
from pathlib import Path

from chat.session import Session
from tvad.api import Analysis, analyze, open_session
from tvad.settings import Settings

EXAMPLE = Path(__file__).parent.parent / "examples" / "plaza.mp4"
STRAIGHT = "What is anomalous?"  # as a first question: the dialogue's first step is asked unseen before it
UNHEARD = "In which stretch of the clip would a guard see it?"  # a wording whose meaning is looked up
QUESTIONS = ("Is there any anomaly in the video?", "What does it look like and do?", "How does it move?", "And when?")
FIRST_S, WORDS_PER_S = 3.0, 15.0
ROUNDS = 3


def round_of(analysis: Analysis) -> tuple[float, list[float], float]:
    """Seconds from the analysis to the first word, to that of each question, and words a second after the first."""
    began_s = time.perf_counter()
    session: Session = open_session(analysis, "lvlm")
    waits, words, spent_s = [], 0, 0.0
    for question in QUESTIONS:
        asked_s = time.perf_counter()
        pieces = iter(session.ask(question))
        first = next(pieces)
        heard_s = time.perf_counter()
        waits.append(heard_s - asked_s)
        rest = "".join(pieces)
        spent_s += time.perf_counter() - heard_s
        words += len((first + rest).split()) - 1
        if question == QUESTIONS[0]:
            ready_s = heard_s - began_s
    return ready_s, waits, words / spent_s


def wait_for(analysis: Analysis, question: str) -> float:
    """Seconds until the first word of a first question, the session's opening included."""
    began_s = time.perf_counter()
    next(iter(open_session(analysis, "lvlm").ask(question)))
    return time.perf_counter() - began_s


def main(video: str = str(EXAMPLE)) -> None:
    analysis = analyze(video, Settings())
    rounds = [round_of(analysis) for _ in range(ROUNDS)]
    ready_s, speed = rounds[0][0], statistics.median(r[2] for r in rounds)
    later = statistics.median(wait for r in rounds for wait in r[1][1:])
    straight, unheard = (statistics.median(wait_for(analysis, q) for _ in range(ROUNDS)) for q in (STRAIGHT, UNHEARD))
    kept = max(ready_s, straight) <= FIRST_S and speed >= WORDS_PER_S
    print(f"{Path(video).name}: first word {ready_s:.2f} s after the analysis (loading included), of a later question")
    print(f"{later:.2f} s; of {STRAIGHT!r} asked first {straight:.2f} s, in a wording never heard {unheard:.2f} s;")
    print(f"then {speed:.0f} words/s. Promise: {FIRST_S:.0f} s, {WORDS_PER_S:.0f} words/s:", end=" ")
    print("kept" if kept else "BROKEN")


if __name__ == "__main__":
    main(*sys.argv[1:])
