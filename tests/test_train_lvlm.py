"""Training of the region tokens: what is supervised, resuming, learning at all, and what is left as it was."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llama import make_folder
from tiny_lvlm import PLACEHOLDER, RAE, make_adapter

from chat.conversation import Conversation, Turn
from chat.prompt import build_lvlm_messages
from training.datasets.qa import dialogue
from training.datasets.records import clip_record
from training.lvlm.asking import Asked, answers_to, quick_check
from training.lvlm.begin import KINDS, NAMES
from training.lvlm.checkpoint import found
from training.lvlm.data import Mixed, Pools, Simulated, Talk, collate, write
from training.lvlm.loop import Options, Training, parse
from training.lvlm.tuned import IGNORED, Tuned, padding_of, quick
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.slots import FIRST_GROUPS, GROUPS
from tvad.lvlm.tokens import n_tokens
from tvad.lvlm.view import FACTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)


@pytest.fixture(scope="module")
def start(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("start") / "adapter"
    make_adapter(folder).save(where)
    return where


@pytest.fixture(scope="module")
def written(folder: Path) -> Dialogue:
    return Dialogue(folder, PLACEHOLDER)


def _turns(number: int, count: int):
    example = Simulated(RAE)[number]
    return example, dialogue(clip_record(example.truth), np.random.default_rng(number), "train", count)


# --- sequences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(8))
def test_supervised_are_the_answers_and_their_ends_and_nothing_else(number: int, written: Dialogue) -> None:
    example, turns = _turns(number, 4)
    made = write(written, RAE, example.view, turns)
    said = np.array(made.said)
    begins = np.flatnonzero(np.diff(said.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(said.astype(int), append=0) == -1)
    assert made.answers == len(turns) == len(begins)
    for turn, a, b in zip(turns, begins, ends, strict=True):
        assert written.decode(made.ids[a:b]) == turn.answer
        assert made.ids[b] in written.stop_ids
    assert made.ids.count(written.placeholder) == n_tokens(RAE, example.view)


@pytest.mark.parametrize("number", range(4))
def test_each_answer_follows_what_would_be_read_when_answering(number: int, written: Dialogue) -> None:
    example, turns = _turns(number, 3)
    made = write(written, RAE, example.view, turns)
    begins = np.flatnonzero(np.diff(np.array(made.said).astype(int), prepend=0) == 1)
    for n, a in enumerate(begins):
        past = Conversation(tuple(Turn(t.question, t.answer) for t in turns[:n]))
        messages = build_lvlm_messages(past, turns[n].question, n_tokens(RAE, example.view), turns=n)
        assert written.encode(messages) == made.ids[:a]


def test_another_question_never_changes_what_is_supervised(written: Dialogue) -> None:
    example, turns = _turns(2, 3)
    before = write(written, RAE, example.view, turns)
    asked = [replace(t, question=f"{t.question} Say it, please.") for t in turns]
    after = write(written, RAE, example.view, asked)
    assert sum(before.said) == sum(after.said) and len(after.ids) > len(before.ids)
    said = [[i for i, s in zip(m.ids, m.said, strict=True) if s] for m in (before, after)]
    assert said[0] == said[1]


def test_turns_that_do_not_fit_are_left_out_but_one_stays(written: Dialogue) -> None:
    example, turns = _turns(1, 4)
    whole = write(written, RAE, example.view, turns)
    less = write(written, RAE, example.view, turns, len(whole.ids) - 1)
    assert less.answers == 3 and less.ids == whole.ids[: len(less.ids)]
    assert write(written, RAE, example.view, turns, 1).answers == 1


def test_a_batch_is_padded_at_the_right_and_padding_is_not_learned(written: Dialogue) -> None:
    pools = Pools(Simulated(RAE), written, RAE, Talk(3, 2), 4, 1)
    sequences = [pools.sequence(n) for n in range(4)]
    batch = collate(sequences, padding_of(written))
    assert batch.ids.shape[1] % 8 == 0 and batch.answers == sum(s.answers for s in sequences)
    for row, s in enumerate(sequences):
        assert batch.mask[row].sum() == len(s.ids) and batch.mask[row, : len(s.ids)].all()
        assert (batch.labels[row] != IGNORED).sum() == sum(s.said)
        assert batch.labels[row, len(s.ids) :].eq(IGNORED).all()
    chosen = batch.labels != IGNORED
    assert batch.labels[chosen].equal(batch.ids[chosen])


def test_pools_depend_on_seed_and_number_only(written: Dialogue) -> None:
    def ids(seed: int, number: int) -> list[list[list[int]]]:
        pools = Pools(Simulated(RAE, seed), written, RAE, Talk(2, 1), 4, 2, seed)
        return [b.ids.tolist() for b in pools[number]]

    assert ids(0, 3) == ids(0, 3) and ids(0, 3) != ids(0, 4) and ids(0, 3) != ids(1, 3)


def test_a_mixture_takes_its_share() -> None:
    simulated = Simulated(RAE)
    packed = [Simulated(RAE, 99)[n] for n in range(3)]
    mixed = Mixed(simulated, packed, 0.7, 1)
    ids = {id(p.truth) for p in packed}
    share = np.mean([id(mixed[n].truth) in ids for n in range(120)])
    assert 0.55 < share < 0.85
    assert all(id(Mixed(simulated, packed, 0.0)[n].truth) not in ids for n in range(5))


# --- the model in training ----------------------------------------------------------------------------------------


def _options(out: Path, start: Path, **changed) -> Options:
    plain = {"out": out, "start": str(start), "steps": 6, "batch": 4, "turns": 2, "normal_turns": 1, "every": 2}
    return Options(**plain | {"check": 0, "checked": 4, "warm_up": 2, "threads": 1, "cpu": True} | changed)


def _training(options: Options, folder: Path) -> Training:
    return Training(options, folder, torch.float32, say=lambda line: None)


class _Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def undisturbed(folder: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapter, Path]:
    out = tmp_path_factory.mktemp("undisturbed")
    return _training(_options(out, start), folder).run(), out


@pytest.mark.parametrize("killed_at", [3, 4])
def test_a_killed_training_ends_as_an_undisturbed_one(
    killed_at: int, undisturbed: tuple[Adapter, Path], folder: Path, start: Path, tmp_path: Path
) -> None:
    training = _training(_options(tmp_path, start), folder)
    step = training._step

    def until_killed(parts):
        if training.progress.step == killed_at:
            raise _Killed
        return step(parts)

    training._step = until_killed  # type: ignore[method-assign]
    with pytest.raises(_Killed):
        training.run()
    shutil.copytree(found(tmp_path)[0], tmp_path / ".new-abandoned")
    (tmp_path / "checkpoint-00000009").mkdir()  # begun and never finished
    resumed = _training(_options(tmp_path, start), folder)
    assert resumed.progress.step == killed_at // 2 * 2
    adapter = resumed.run()
    wanted, out = undisturbed
    for name, values in (wanted.rae | wanted.lora).items():
        np.testing.assert_array_equal(values, (adapter.rae | adapter.lora)[name], err_msg=name)
    rows = [[json.loads(line) for line in (p / "metrics.jsonl").read_text().splitlines()] for p in (out, tmp_path)]
    assert [r["step"] for r in rows[0]] == [r["step"] for r in rows[1]]
    assert [p.name for p in found(tmp_path)] == ["checkpoint-00000006"]


def test_only_encoder_and_low_rank_matrices_change(
    folder: Path, start: Path, undisturbed: tuple[Adapter, Path]
) -> None:
    before = Adapter.load(start)
    after, _ = undisturbed
    assert all((before.lora[n] != after.lora[n]).any() for n in before.lora)
    changed = [n for n in before.rae if (before.rae[n] != after.rae[n]).any()]
    assert {n.split(".")[0] for n in changed} >= {"things", "conv", "region", "scale", "kind"}
    tuned = Tuned.resume(before, folder, torch.float32)
    tuned(Pools(Simulated(RAE), tuned.dialogue, RAE, Talk(2, 1), 4, 1)[0][0]).backward()
    with_gradient = {n for n, p in tuned.named_parameters() if p.grad is not None}
    assert with_gradient and all(n.startswith("rae.") or "lora_" in n for n in with_gradient)
    assert all("lora_" in n or not p.requires_grad for n, p in tuned.model.named_parameters())


def test_the_loss_is_that_of_the_whole_table_of_logits(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32).eval()
    batch = Pools(Simulated(RAE), tuned.dialogue, RAE, Talk(2, 1), 4, 1)[0][0]
    with torch.no_grad(), tuned.injector.given(tuned.rae(batch.views)):
        logits = tuned.model(input_ids=batch.ids, attention_mask=batch.mask).logits
    whole = torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), batch.labels[:, 1:].reshape(-1), ignore_index=IGNORED
    )
    with torch.no_grad():
        torch.testing.assert_close(tuned(batch), whole)
    # An answer's first token and the words that tell count as often as they are told to.
    tuned.lead = 3.0
    told = int(batch.labels[batch.labels != IGNORED][2])
    tuned.weights = torch.ones(logits.shape[-1])
    tuned.weights[told] = 5.0
    each = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
    ).view(len(batch.ids), -1)
    total, count = 0.0, 0.0
    for losses, labels in zip(each.tolist(), batch.labels.tolist(), strict=True):
        for loss, before, label in zip(losses, labels[:-1], labels[1:], strict=True):
            weight = 0.0 if label == IGNORED else 3.0 if before == IGNORED else 5.0 if label == told else 1.0
            total, count = total + weight * loss, count + weight
    with torch.no_grad():
        assert float(tuned(batch)) == pytest.approx(total / count, rel=1e-4)


def test_processes_that_wait_for_each_other_have_batches_of_like_length(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32)
    lengths = []
    for together in (1, 2):
        pools = Pools(Simulated(RAE), tuned.dialogue, RAE, Talk(), 2, 6, together=together)
        lengths.append([[batch.ids.shape[1] for batch in pools[n]] for n in (4, 5)])
    assert [sorted(x) for x in lengths[0]] == [sorted(x) for x in lengths[1]]
    assert np.corrcoef(*lengths[1])[0, 1] > 0.8


def test_every_name_is_of_a_number() -> None:
    for group, names in NAMES.items():
        assert len(names) <= (GROUPS | FACTS)[group], group
    assert set(KINDS) == {*GROUPS, *FACTS}


def test_an_adapter_of_fewer_groups_goes_on_with_all_of_them(folder: Path, start: Path, tmp_path: Path) -> None:
    whole = Adapter.load(start)
    last = tuple(GROUPS)[FIRST_GROUPS:]
    rae = {
        name: values for name, values in whole.rae.items() if not name.startswith(tuple(f"things.{n}" for n in last))
    }
    rae["kind"] = rae["kind"][:FIRST_GROUPS]
    older = replace(whole.config, rae=replace(whole.config.rae, groups=FIRST_GROUPS))
    Adapter(older, rae, whole.lora).save(tmp_path / "older")
    training = _training(_options(tmp_path / "out", tmp_path / "older"), folder)
    found = training.tuned.adapter()
    assert found.config.rae.groups == len(GROUPS) and found.rae.keys() == whole.rae.keys()
    for name, values in rae.items():
        np.testing.assert_array_equal(found.rae[name][: len(values)] if values.ndim else found.rae[name], values)
    for name, values in whole.lora.items():
        np.testing.assert_array_equal(found.lora[name], values)
    assert np.linalg.norm(found.rae["kind"][FIRST_GROUPS:], axis=1).min() > 0


def test_training_learns_what_it_is_shown(folder: Path, start: Path, tmp_path: Path) -> None:
    rates = {"rae_rate": 1e-2, "lora_rate": 1e-2, "steps": 30, "every": 1000}
    training = _training(_options(tmp_path, start, **rates), folder)
    batch = Pools(Simulated(RAE, 5), training.tuned.dialogue, RAE, Talk(1, 1), 4, 1)[0][0]
    training._batches = lambda: iter(lambda: batch, None)  # type: ignore[method-assign]
    with torch.no_grad(), quick(training.tuned, "cpu"):
        before = float(training.tuned(batch))
    training.run()
    with torch.no_grad(), quick(training.tuned, "cpu"):
        assert float(training.tuned(batch)) < 0.7 * before


def test_parts_of_a_step_add_up(folder: Path, start: Path, tmp_path: Path) -> None:
    grads = []
    for parts in (1, 2):
        options = _options(tmp_path / str(parts), start, batch=4, accumulate=parts)
        training = _training(options, folder)
        training.tuned.eval()
        pools = Pools(Simulated(RAE), training.tuned.dialogue, RAE, Talk(1, 1), 4, 1)
        one = collate([pools.sequence(0)] * (4 // parts), padding_of(training.tuned.dialogue))
        training.optimiser.step = lambda: None  # type: ignore[method-assign]
        training.optimiser.zero_grad = lambda: None  # type: ignore[method-assign]
        training._step([one] * parts)
        grads.append({n: p.grad.clone() for n, p in training.tuned.named_parameters() if p.grad is not None})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], rtol=1e-4, atol=1e-6)


def test_another_configuration_or_seed_does_not_go_on(
    undisturbed: tuple[Adapter, Path], folder: Path, start: Path, tmp_path: Path
) -> None:
    _, out = undisturbed
    with pytest.raises(ValueError, match="--seed"):
        _training(_options(out, start, seed=1, steps=8), folder)
    other = make_adapter(folder)
    Adapter(replace(other.config, lora=replace(other.config.lora, alpha=3.0)), other.rae, other.lora).save(tmp_path)
    with pytest.raises(ValueError, match="--out"):
        _training(_options(out, tmp_path, steps=8), folder)


# --- answers ------------------------------------------------------------------------------------------------------


def test_answers_do_not_depend_on_what_they_are_asked_beside(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32).eval()
    asked = []
    for number in range(5):
        example, turns = _turns(number, 3)
        past = tuple((t.question, t.answer) for t in turns[: number % 3])
        asked.append(Asked(example.view, turns[number % 3].question, past))
    together, odds = answers_to(tuned, RAE, asked, 5)
    for n, one in enumerate(asked):
        alone, own = answers_to(tuned, RAE, [one], 1)
        assert alone == [together[n]]
        np.testing.assert_allclose(own[0], odds[n], atol=1e-3)


def test_quick_check_counts_what_is_true(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32).eval()
    examples = [Simulated(RAE, 0, "validation")[n] for n in range(12)]

    class Knowing:
        """Says the truth: finds the question among those that are asked."""

        dialogue = tuned.dialogue

        def __init__(self, known: dict[str, str]) -> None:
            self.known = known

        def answer(self, prompts, views, longest=64):
            texts = [self.known[tuned.dialogue.decode(p)] for p in prompts]
            return texts, np.zeros(len(texts))

    class Asking(dict):
        def __missing__(self, key: str) -> str:
            return "I do not know."

    wrong = quick_check(Knowing(Asking()), RAE, examples)
    assert wrong["yes_no"] == 0 and all(v == 0 for k, v in wrong.items())


# --- options ------------------------------------------------------------------------------------------------------


def test_rates_rise_then_fall_and_time_counts_as_steps_do() -> None:
    options = Options(steps=100, warm_up=10, last=0.1)
    rates = [options.rate(n, 0.0) for n in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1, abs=0.05)
    assert all(a >= b for a, b in pairwise(rates[10:])) and rates[100] == pytest.approx(0.1)
    timed = Options(minutes=10, warm_up=1, last=0.1)
    assert timed.rate(5, 300) == pytest.approx(0.55) and timed.over(5, 600) and not timed.over(10**6, 599)


@pytest.mark.parametrize(
    ("flags", "named"), [([], "--steps"), (["--steps", "1", "--batch", "6", "--accumulate", "4"], "--accumulate")]
)
def test_options_that_cannot_be_are_refused(flags: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(flags)
    assert named in capsys.readouterr().err


def test_flags_are_the_fields() -> None:
    options = parse(["--steps", "3", "--rendered", "a", "b", "--lora-rate", "0.1", "--cpu"])
    assert options == Options(steps=3, rendered=("a", "b"), lora_rate=0.1, cpu=True)
