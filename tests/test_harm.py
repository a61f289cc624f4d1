"""Questions about harm are known, and no others; they are answered neither by yes nor by no."""

import pytest
from chat_fakes import make_evidence, nothing, one_event, straight

from chat.conversation import Conversation
from chat.harm import harm
from chat.questions import HARM, read_question
from chat.report import narrate
from tvad.evidence import Event

ASKED = {
    "hurt": (
        "is anybody hurt?", "was someone injured?", "is he dead?", "are they ok?", "is everyone all right?",
        "is the cyclist still alive?", "do you see blood?", "how many casualties are there?",
    ),
    "danger": ("is it dangerous?", "is that a threat?", "how serious is it?", "is the area safe?", "an emergency?"),
    "weapon": ("does anyone have a weapon?", "is there a knife?", "is he armed?", "do you see a gun?"),
    "act": (
        "should I call the police?", "do we need an ambulance?", "what should I do?", "should I be worried?",
        "does he need help?", "shall I send somebody?", "should the fire brigade come?", "can I ignore this?",
    ),
    "crime": ("is this a crime?", "is that legal?"),
}  # fmt: skip
OTHERS = (
    "is everything ok?", "is it safe to say that all is well?", "is the video ok?", "what is anomalous?",
    "should the alarm be raised?", "is event 1 the most severe?", "what is the threshold?", "who is it?",
    "how bright is it?", "what should the guard be told?", "what do you see?", "is it harmless?",
)  # fmt: skip


@pytest.mark.parametrize(("about", "text"), [(about, text) for about, texts in ASKED.items() for text in texts])
def test_harm_is_known(about: str, text: str) -> None:
    assert harm(text) == about
    assert read_question(text).kinds == (HARM,)
    for evidence in (one_event(), nothing()):
        said = narrate(evidence, read_question(text), Conversation()).text
        assert "cannot be told from the evidence" in said
        assert ("bicycle" in said) == evidence.has_anomaly  # what is seen instead


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_question_of_harm(text: str) -> None:
    assert not harm(text)


def test_a_weapon_that_was_named_is_told() -> None:
    track = straight(1, "knife", "small grey", 5.0, 9.0, (0, 150, 560, 150))
    evidence = make_evidence((Event(1, 5.0, 9.0, 6.0, 0.9, "knife", (1,), ("words",)),), (track,))
    assert narrate(evidence, read_question("is there a weapon?"), Conversation()).text.startswith("Yes: the knife")
