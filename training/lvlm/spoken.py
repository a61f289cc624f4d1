"""The ways of answering that see no video: `report`, from the evidence alone, and `text`, a language model told of it.

They are asked what a model with embeddings is asked, of the same simulated clips, and judged by the same figures.

Next: docs/RESULTS.md
"""

from collections.abc import Sequence

import numpy as np

from chat.session import Session
from training.datasets.qa import protocol
from training.datasets.records import clip_record
from training.lvlm.data import Example
from training.lvlm.evaluate import Answered
from training.text_metrics import said_yes
from tvad.evidence import Evidence
from tvad.explainer import Explainer

SPOKEN = ("report", "text")


def run_spoken(
    examples: Sequence[Example],
    evidence: Sequence[Evidence],
    way: str,
    phrasings: str = "test",
    seed: int = 0,
    explainer: Explainer | None = None,
) -> Answered:
    """The questions of `run_protocol`, each after the way's own earlier answers; asked no further where it said no.
    evidence: of each example. way: one of SPOKEN; explainer: of `text`. Its log odds are NaN: it gives none."""
    if way not in SPOKEN:
        raise ValueError(f"no way {way!r} of answering without a view; choose one of {list(SPOKEN)}")
    asked, said = [], []
    for n, (example, found) in enumerate(zip(examples, evidence, strict=True)):
        questions = protocol(clip_record(example.truth), np.random.default_rng([seed, n, 5]), phrasings)
        session = Session(found, way, explainer)
        answers: list[str] = []
        for qa in questions:
            if answers and not said_yes(answers[0]):
                break
            for _ in session.ask(qa.question):
                pass
            answers.append(session.conversation.turns[-1].answer)  # without the note on calibration
        asked.append(questions)
        said.append(answers + [""] * (len(questions) - len(answers)))
    return Answered(examples, asked, said, np.full(len(examples), np.nan))
