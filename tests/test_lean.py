"""Where a training begins: layers written out, wider adapters where narrow ones ended, tokens that begin as words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llama import make_folder
from tiny_lvlm import RAE, make_adapter

from training.lvlm.begin import NAMES, Words, telling
from training.lvlm.checkpoint import put_weights
from training.lvlm.data import Pools, Simulated, Talk
from training.lvlm.lean import LeanLlama
from training.lvlm.tuned import Tuned
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.slots import GROUPS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)


@pytest.fixture(scope="module")
def start(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("start") / "adapter"
    make_adapter(folder).save(where)
    return where


@pytest.mark.parametrize("mlp", [False, True])
def test_layers_written_out_agree_with_transformers(folder: Path, start: Path, mlp: bool) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32).eval()
    if mlp:
        config = replace(tuned.config, lora=replace(tuned.config.lora, mlp=True))
        tuned = Tuned.begin(config, folder, torch.float32).eval()
        torch.manual_seed(2)
        with torch.no_grad():
            for name, parameter in tuned.model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(0, 0.05)
    batch = Pools(Simulated(RAE), tuned.dialogue, RAE, Talk(3, 2), 4, 1)[0][0]
    assert not batch.mask.all()
    given = tuned.model.get_input_embeddings()
    inner = tuned.model.get_base_model().model
    words = torch.randn(*batch.ids.shape, given.embedding_dim, requires_grad=True)
    wanted = torch.randn_like(words) * batch.mask[..., None]
    grads = []
    usual = lambda: inner(inputs_embeds=words, attention_mask=batch.mask).last_hidden_state  # noqa: E731
    for run in (usual, lambda: LeanLlama(tuned.model)(words)):
        tuned.zero_grad()
        words.grad = None
        hidden = run()
        (hidden * wanted).sum().backward()
        own = {n: p.grad.clone() for n, p in tuned.model.named_parameters() if p.grad is not None}
        grads.append({"hidden": (hidden * batch.mask[..., None]).detach(), "words": words.grad.clone(), **own})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) == 2 + (28 if mlp else 16)
    for name, values in grads[0].items():
        torch.testing.assert_close(grads[1][name], values, rtol=1e-3, atol=1e-3 * float(values.abs().max()), msg=name)


def test_a_wider_adapter_begins_where_a_narrow_one_ended(folder: Path, start: Path) -> None:
    narrow = Adapter.load(start)
    wide = Tuned.begin(replace(narrow.config, lora=replace(narrow.config.lora, mlp=True)), folder, torch.float32).eval()
    put_weights(wide, narrow)
    old = Tuned.resume(narrow, folder, torch.float32).eval()
    ids = torch.arange(3, 9)[None]
    with torch.no_grad():
        after, before = (t.model(input_ids=ids).logits for t in (wide, old))
    torch.testing.assert_close(after, before)
    assert any(".mlp.down_proj.B" in name for name in wide.adapter().lora)
    assert not any(".mlp." in name for name in old.adapter().lora)


def test_another_kind_of_model_is_not_written_out(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32)
    tuned.model.get_base_model().config.hidden_act = "gelu"
    with pytest.raises(ValueError, match="not a Llama"):
        LeanLlama(tuned.model)


def test_names_begin_as_their_words(folder: Path) -> None:
    torch.manual_seed(0)
    tuned = Tuned.begin(make_adapter(folder).config, folder, torch.float32)
    words = Words(tuned.model.get_input_embeddings().weight, tuned.dialogue)
    torch.manual_seed(0)
    plain = Tuned.begin(make_adapter(folder).config, folder, torch.float32, named=False)
    near, far = [], []
    for group in ("first", "last", "colour", "way"):
        for n in range(min(6, RAE.hidden_things)):
            one = torch.zeros(GROUPS[group])
            one[n] = 1
            wanted = words.mean(NAMES[group][n])
            for of, out in ((tuned, near), (plain, far)):
                with torch.no_grad():
                    out.append(float(torch.cosine_similarity(of.rae.things[group](one), wanted, dim=0)))
    assert np.mean(near) > 0.75 > 0.3 > np.mean(far)
    assert torch.cosine_similarity(tuned.rae.kind[list(GROUPS).index("first")], words.mean(" from"), dim=0) > 0.99


def test_digits_and_borders_begin_as_themselves(folder: Path) -> None:
    torch.manual_seed(0)
    tuned = Tuned.begin(make_adapter(folder).config, folder, torch.float32)
    words = Words(tuned.model.get_input_embeddings().weight, tuned.dialogue)
    told = {("from_ones", 7): "7", ("upright", 1): " down", ("exit", 2): " right"}
    with torch.no_grad():
        for (group, place), word in told.items():
            one = torch.zeros(GROUPS[group])
            one[place] = 1
            assert torch.cosine_similarity(tuned.rae.things[group](one), words.mean(word), dim=0) > 0.75, group


def test_words_that_tell_weigh_more(folder: Path, start: Path) -> None:
    tuned = Tuned.resume(Adapter.load(start), folder, torch.float32)
    count = tuned.model.get_input_embeddings().num_embeddings
    weights = telling(tuned.dialogue, count, 4.0)
    assert set(weights[tuned.dialogue.first_tokens([" left", "7", " red", " enters"])].tolist()) == {4.0}
    assert set(weights.tolist()) == {1.0, 4.0}
    assert torch.equal(telling(tuned.dialogue, count, 1.0), torch.ones(count))
