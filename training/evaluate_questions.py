"""How many wordings of questions the rules of `--explain report` understand: those they were made for, and others.

    python -m training.evaluate_questions [--show]

Every template of training/datasets/phrasings is read by chat/questions.py; it is understood when one of the kinds found
is what it asks. The rules were made with the training phrasings at hand, but for those of phrasings/more.py ("more");
those and the test phrasings show what a new user meets.
"""

import argparse
from collections.abc import Iterator

from chat.questions import read_question
from training.datasets.phrasings import templates
from training.datasets.phrasings.more import MORE

# Kind of question -> kinds of chat/questions.py that answer it.
ANSWERED_BY: dict[str, frozenset[str]] = {
    "whether": frozenset({"whether"}),
    "normal": frozenset({"whether"}),
    "what": frozenset({"what", "appearance", "label"}),
    "details": frozenset({"what", "appearance", "motion"}),
    "appearance": frozenset({"appearance", "what"}),
    "action": frozenset({"motion", "what"}),
    "motion": frozenset({"motion"}),
    "where": frozenset({"where"}),
    "entry": frozenset({"motion", "where"}),
    "exit": frozenset({"motion", "where"}),
    "when": frozenset({"when"}),
    "count": frozenset({"count"}),
    "unanswerable": frozenset({"beyond"}),
}


def understood(split: str) -> Iterator[tuple[str, str, bool]]:
    """(kind, question, whether it is understood) of every template of a split of the phrasings, or of "more"."""
    for kind, wanted in ANSWERED_BY.items():
        more = set(MORE.get(kind, ()))
        for _, template in templates(kind, "test" if split == "test" else "train"):
            if split != "test" and (template in more) != (split == "more"):
                continue
            text = template.replace("{its}", "its").replace("{him}", "it").replace("{it}", "it")
            read = read_question(text)
            right = bool(set(read.kinds) & wanted) and (read.yes_no or wanted != {"whether"})
            yield kind, text, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print those that are not understood, except of the test")
    show = parser.parse_args().show
    for split in ("train", "more", "test"):
        rows = list(understood(split))
        print(f"{split} phrasings: {sum(ok for *_, ok in rows)} of {len(rows)} understood")
        for kind in ANSWERED_BY:
            own = [ok for k, _, ok in rows if k == kind]
            print(f"  {kind}: {sum(own)} of {len(own)}")
        for kind, text, ok in rows:
            if show and not ok and split != "test":
                print(f"    {kind}: {text}")


if __name__ == "__main__":
    main()
