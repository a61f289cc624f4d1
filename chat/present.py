"""How many people and vehicles were in the picture, ordinary ones too, as the evidence has counted them.

Next: chat/answers.py
"""

from chat.facts import capital, seconds
from chat.lexicon import singular
from chat.questions import COUNT, Question
from tvad.evidence import Evidence, Seen

PEOPLE = frozenset(
    ["person", "human", "man", "woman", "child", "pedestrian", "somebody", "individual", "walker", "bystander"]
)
VEHICLES = frozenset(["car", "vehicle", "truck", "bus", "lorry", "van", "motorcycle", "motorbike", "automobile"])
OF_FINDINGS = r"\binvolved\b|\banomal|\bunusual|\bsuspicious|\bodd\b|\bevents?\b|\bstrange|\babnormal"


def asked(evidence: Evidence, question: Question) -> Seen | None:
    """What was counted of the kind that a question asks the number of; None where it asks something else, or where
    nobody counted."""
    if COUNT not in question.kinds or question.names_one or question.place or question.says(OF_FINDINGS):
        return None
    words = {"man" if word == "men" else singular(word).replace("women", "woman") for word in question.thing.split()}
    words |= {"child"} if "children" in words else set()
    kind = "person" if words & PEOPLE else "motor vehicle" if words & VEHICLES else ""
    return next((seen for seen in evidence.seen if seen.kind == kind), None)


def told(seen: Seen, question: Question) -> str:
    """Sentences about that."""
    name, names = ("person", "people") if seen.kind == "person" else (seen.kind, f"{seen.kind}s")
    most = f"at most {seen.most} {name if seen.most == 1 else names} at once, at {seconds(seen.most_at_s)}"
    usual = "" if seen.usual == seen.most else f", usually {seen.usual}"
    verdict = ""
    if question.yes_no:
        many = question.says(r"more than one|several|many|multiple")
        verdict = "Yes: " if (seen.most > 1) == many else "No: "
    text = f"{verdict}{most if verdict else capital(most)}{usual}."
    return f"{text} Single pictures are counted, ordinary {names} too; who is small or hidden is missed."
