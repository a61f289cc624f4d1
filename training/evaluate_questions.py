"""How many wordings of questions are understood: by the rules alone, and with the meaning (chat/meaning.py).

    python -m training.evaluate_questions [--show]

Every template of training/datasets/phrasings is read by chat/questions.py; it is understood when one of the kinds found
is what it asks. The rules were made with the training phrasings at hand, but for those added later ("more"),
which the map of meanings was fitted on, as on the others. The test phrasings show what a new user meets.
"""

import argparse
from collections.abc import Callable, Iterator

from chat.meaning import ANSWERED_BY, understand
from chat.questions import Question, read_question
from training.datasets.phrasings import added, templates


def understood(split: str, read: Callable[[str], Question] = read_question) -> Iterator[tuple[str, str, bool]]:
    """(kind, question, whether `read` understands it) of every template of a split of the phrasings, or of "more"."""
    for kind, wanted in ANSWERED_BY.items():
        more = {text.lstrip("~+") for text in added(kind)}
        for _, template in templates(kind, "test" if split == "test" else "train"):
            if split != "test" and (template in more) != (split == "more"):
                continue
            text = template.replace("{its}", "its").replace("{him}", "it").replace("{it}", "it")
            found = read(text)
            right = bool(set(found.kinds) & set(wanted)) and (found.yes_no or wanted != ("whether",))
            yield kind, text, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print those that are not understood, except of the test")
    show = parser.parse_args().show
    for split in ("train", "more", "test"):
        ways = {"rules": list(understood(split)), "with the meaning": list(understood(split, understand))}
        for way, rows in ways.items():
            print(f"{split} phrasings, {way}: {sum(ok for *_, ok in rows)} of {len(rows)} understood")
        for kind in ANSWERED_BY:
            own = {way: [ok for k, _, ok in rows if k == kind] for way, rows in ways.items()}
            print(
                f"  {kind}: " + ", ".join(f"{sum(ok)} {way}" for way, ok in own.items()) + f", of {len(own['rules'])}"
            )
        for kind, text, ok in ways["with the meaning"]:
            if show and not ok and split != "test":
                print(f"    {kind}: {text}")


if __name__ == "__main__":
    main()
