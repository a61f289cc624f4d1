"""The language model of `mini`: seconds to convert it once, to load it, to the first word, and tokens a second.

Each load is a process of its own, as a person meets it.
"""

import os
import statistics
import subprocess
import sys
import tempfile

QUESTIONS = ("What is anomalous?", "When does it happen?")
FACTS = "A dark blue bicycle is anomalous. It moves right, fast. This happens from second 8 to second 15."
LOADS = 5
CHILD = "import benchmarks.language_model as b; b.measure()"


def measure() -> None:
    """Print seconds to load, seconds to the first word of two questions, tokens a second."""
    import time

    began_s = time.perf_counter()
    from tvad.explainer import open_explainer
    from tvad.lvlm import load_backbone

    explainer = open_explainer("mini")
    figures = [time.perf_counter() - began_s]
    for question in QUESTIONS:
        began_s = time.perf_counter()
        next(iter(explainer.stream(messages(question))))
        figures.append(time.perf_counter() - began_s)
    backbone = load_backbone("smollm2-135m-instruct")
    ids = backbone.encode(messages("Tell a long story."))
    ids.append(int(backbone.next_logits(ids).argmax()))
    began_s = time.perf_counter()
    for _ in range(60):
        ids.append(int(backbone.next_logits(ids).argmax()))
    print(*figures, 60 / (time.perf_counter() - began_s), len(ids) - 61)


def messages(question: str) -> list[dict[str, str]]:
    example = [
        {"role": "user", "content": f"Facts: {FACTS}\nQuestion: {QUESTIONS[0]}"},
        {"role": "assistant", "content": "A dark blue bicycle, from second 8 to second 15."},
    ]
    system = {"role": "system", "content": "Answer with the facts given. Add nothing."}
    return [system, *example * 3, {"role": "user", "content": f"Facts: {FACTS}\nQuestion: {question}"}]


def figures(cache: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TVAD_CACHE": cache},
    )
    return [float(figure) for figure in done.stdout.split()]


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        first = figures(cache)
        later = [statistics.median(column) for column in zip(*(figures(cache) for _ in range(LOADS)), strict=True)]
    names = (
        "load",
        f"first word, prompt of {later[4]:.0f} tokens",
        "first word of the next question",
        "tokens a second",
    )
    print(f"{'convert and load, once':40} {first[0]:6.2f} s")
    for name, figure in zip(names, later[:4], strict=True):
        print(f"{name:40} {figure:6.2f}{'' if name == names[3] else ' s'}")
    print(f"median of {LOADS} processes, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
