"""How many wordings of questions the rules of `--explain report` understand: those they were written for, and others.

    python -m training.evaluate_questions [--show]

Every template of training/datasets/phrasings is read by chat/questions.py; it is understood when one of the kinds found
is what it asks. The rules were made with the training phrasings at hand; the test phrasings show what a new user meets.
"""

import argparse
from collections.abc import Iterator

from chat.questions import read_question
from training.datasets.phrasings import templates

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
    """(kind, question, whether it is understood) of every template of a split of the phrasings."""
    for kind, wanted in ANSWERED_BY.items():
        for _, template in templates(kind, split):
            text = template.replace("{its}", "its").replace("{him}", "it").replace("{it}", "it")
            read = read_question(text)
            right = bool(set(read.kinds) & wanted) and (read.yes_no or wanted != {"whether"})
            yield kind, text, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the training phrasings that are not understood")
    show = parser.parse_args().show
    for split in ("train", "test"):
        rows = list(understood(split))
        print(f"{split} phrasings: {sum(ok for *_, ok in rows)} of {len(rows)} understood")
        for kind in ANSWERED_BY:
            own = [ok for k, _, ok in rows if k == kind]
            print(f"  {kind}: {sum(own)} of {len(own)}")
        for kind, text, ok in rows:
            if show and not ok and split == "train":
                print(f"    {kind}: {text}")


if __name__ == "__main__":
    main()
