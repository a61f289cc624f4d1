"""The map from the meaning of a question to its kind: how well it does on unseen wordings, and the shipped file.

    python -m training.question_kinds            fit without the wordings added later, tested on them: for choices
    python -m training.question_kinds --ship     fit on all training phrasings, into chat/meaning.safetensors

Softmax regression on MiniLM's vectors (tvad/minilm.py), every wording of the same weight. What is none of the kinds
("why?", "are you sure?", "is there a dog?", thanks) is a kind of its own, OTHER, which is left to the rules.

Next: chat/meaning.py
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from chat.meaning import ANSWERED_BY, FILE, OTHER, Meaning, corrected, hash_of
from chat.questions import WHETHER, Question, read_question
from training.datasets.phrasings import added, templates
from training.datasets.phrasings.others import OTHERS
from tvad.evidence import write_atomic
from tvad.minilm import embed

NAMES = (*ANSWERED_BY, OTHER)
C = 10.0  # inverse strength of the penalty, as scikit-learn has it; of 3, 10, 30
# What stands for {its}, {him}, {it}.
FILLED = (
    ("its", "it", "it"),
    ("its", "it", "the anomaly"),
    ("his", "him", "he"),
    ("the cyclist's", "the cyclist", "the cyclist"),
    ("the second van's", "the second van", "the second van"),
    ("their", "them", "the thing"),
)
THINGS = (("dog", "red"), ("fire truck", "blue"), ("handbag", "white"))
OF_THINGS = ("absent", "ridden", "colour", "whole colour")
SPARSE = 0.35  # weight of a question about a thing: there are many, all alike


@dataclass(frozen=True)
class Wording:
    """A question, the number of its kind in NAMES, and how much it counts."""

    text: str
    kind: int
    weight: float


def wordings(split: str, fillings: int = len(FILLED)) -> Iterator[Wording]:
    """Of a split of the phrasings, "train", "more" or "test", without OTHER."""
    for kind in ANSWERED_BY:
        more = {text.lstrip("~+") for text in added(kind)}
        for _, template in templates(kind, "test" if split == "test" else "train"):
            if split != "test" and (template in more) != (split == "more"):
                continue
            used = FILLED[:fillings] if "{" in template else FILLED[:1]
            for its, him, it in used:
                text = template.replace("{its}", its).replace("{him}", him).replace("{it}", it)
                yield Wording(text, NAMES.index(kind), 1 / len(used))


def others(chosen: Sequence[str]) -> Iterator[Wording]:
    """What is left to the rules: `chosen` of phrasings/others.py, and questions about things."""
    number = NAMES.index(OTHER)
    yield from (Wording(text, number, 1.0) for text in chosen)
    found = set()
    for kind in OF_THINGS:
        for _, template in templates(kind, "train"):
            text = template.replace("{its}", "its").replace("{him}", "it").replace("{it}", "it")
            found |= {text.replace("{thing}", thing).replace("{colour}", colour) for thing, colour in THINGS}
    yield from (Wording(text, number, SPARSE) for text in sorted(found))


def fit(rows: Sequence[Wording]) -> Meaning:
    """Softmax regression by L-BFGS, from zero: the same rows give the same map."""
    x = embed([row.text for row in rows]).astype(np.float64)
    truth = np.eye(len(NAMES))[[row.kind for row in rows]]
    weight = np.array([row.weight for row in rows])
    shape = len(NAMES), x.shape[1] + 1
    inputs = np.concatenate([x, np.ones((len(x), 1))], 1)
    penalised = np.append(np.ones(x.shape[1]), 0.0)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(shape)
        logits = inputs @ w.T
        logits -= logits.max(1, keepdims=True)
        log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        wrong = (np.exp(log_probs) - truth) * weight[:, None]
        value = -(log_probs * truth).sum(1) @ weight + 0.5 / C * (w**2 * penalised).sum()
        return float(value), (wrong.T @ inputs + w * penalised / C).ravel()

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    w = found.x.reshape(shape).astype(np.float32)
    known = frozenset(hash_of(row.text) for row in rows if _read_well(row, read_question(row.text)))
    return Meaning(w[:, :-1].copy(), w[:, -1].copy(), NAMES, known)


def _read_well(row: Wording, read: Question) -> bool:
    """Whether a question was understood; one of no kind is, whatever the rules make of it."""
    if NAMES[row.kind] == OTHER:
        return True
    wanted = ANSWERED_BY[NAMES[row.kind]]
    return bool(set(read.kinds) & set(wanted)) and (read.yes_no or wanted != (WHETHER,))


def right(rows: Sequence[Wording], meaning: Meaning | None) -> list[bool]:
    """Which wordings are understood: by the rules, and by the meaning where it is given."""
    probs = meaning.probs(embed([row.text for row in rows])) if meaning else None
    out = []
    for n, row in enumerate(rows):
        read = read_question(row.text)
        if meaning is not None and probs is not None and hash_of(row.text) not in meaning.known:
            read = corrected(read, meaning.names[int(probs[n].argmax())], float(probs[n].max()))
        out.append(_read_well(row, read))
    return out


def ship(meaning: Meaning) -> None:
    """Into chat/meaning.safetensors."""
    from safetensors.numpy import save

    held = {"weight": meaning.weight, "bias": meaning.bias, "known": np.array(sorted(meaning.known), np.int64)}
    made_by = {"made_by": "python -m training.question_kinds --ship", "licence": "Apache-2.0"}
    write_atomic(FILE, lambda file: file.write(save(held, made_by)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="write the file that comes with the package")
    if parser.parse_args().ship:
        meaning = fit([*wordings("train"), *wordings("more"), *others(OTHERS)])
        ship(meaning)
        print(f"{FILE.name}: {len(meaning.known)} wordings, {len(NAMES)} kinds, {FILE.stat().st_size} bytes")
        return
    meaning = fit([*wordings("train"), *others(OTHERS[::2])])
    rows = list(wordings("more", 1))
    rules, both = sum(right(rows, None)), sum(right(rows, meaning))
    print(f"unseen wordings: {rules} of {len(rows)} by the rules, {both} with the meaning")
    left = OTHERS[1::2]
    probs = meaning.probs(embed(left))
    reads = [read_question(text) for text in left]
    named = [(meaning.names[int(p.argmax())], float(p.max())) for p in probs]
    turned = [t for t, r, (k, p) in zip(left, reads, named, strict=True) if corrected(r, k, p) != r]
    print(f"of {len(left)} unseen questions of no kind, {len(turned)} are taken for one: {turned}")


if __name__ == "__main__":
    main()
