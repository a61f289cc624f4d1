"""Questions that footage cannot answer are declined, and no others."""

import pytest
from chat_fakes import one_event

from chat.beyond import beyond
from chat.conversation import Conversation
from chat.questions import BEYOND, read_question
from chat.report import narrate

DECLINED = (
    "what is the person's name?", "who is he?", "Who is the man?", "what is his phone number?", "how old is she",
    "what did they say?", "was there any music?", "what language do they speak?", "why did he do it?",
    "was he drunk?", "did she do it on purpose?", "what is he thinking?", "what happened yesterday?",
    "will he come back?", "what will it do next week", "what happened before the video?", "how much did the bike cost?",
    "whose bag is this?", "which city is this?", "read the licence plate", "what does he want?",
)  # fmt: skip
ANSWERED = (
    "what is anomalous?", "who moves?", "do you think this is an anomaly?", "why is it anomalous?", "is there a truck?",
    "where does it go?", "what does it look like?", "when does it start?", "how fast is it?", "is it still there?",
    "why is that flagged?", "what happens after that?", "how many people are there?", "does it come back?",
    "will you tell me what is odd?", "is anything strange?", "what colour is it?", "how long is it there?",
    "that sounds odd, is it?", "is it worth a look?", "what happens at 3 s?",
)  # fmt: skip


@pytest.mark.parametrize("question", DECLINED)
def test_what_cannot_be_seen_is_declined(question):
    assert beyond(question)
    read = read_question(question)
    assert read.kinds == (BEYOND,)
    said = narrate(one_event(), read, Conversation())
    assert said.text.startswith("The video does not show that")
    assert not said.events and not said.tracks


@pytest.mark.parametrize("question", ANSWERED)
def test_what_can_be_seen_is_not(question):
    assert not beyond(question)
    assert BEYOND not in read_question(question).kinds
