"""Injection and low-rank adapters in training: what is read, what is refused, and what learns."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_llama import make_folder, make_tokenizer
from tiny_lvlm import RAE, language_model, make_view, tuned

from tvad.lvlm.inject import Injector, placeholder_of
from tvad.lvlm.lora import LoraConfig, add_lora, is_target, lora_weights, set_lora_weights, trainable
from tvad.lvlm.rae import Embedded, RegionAwareEncoder, collate_views

MARK = 0
WORDS = [[5, 6, MARK, MARK, 7, 8], [MARK, 9, 10, 11, 12, 13]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def model(folder: Path) -> Any:
    torch.manual_seed(0)
    return language_model(folder)


def embedded(*counts: int) -> Embedded:
    rows = torch.zeros(len(counts), max(counts), 64)
    for row, count in zip(rows, counts, strict=True):
        row[:count] = torch.randn(count, 64)
    return Embedded(rows, torch.tensor(counts))


def test_placeholders_read_what_is_given_each_row_its_own(model: Any) -> None:
    ids, given = torch.tensor(WORDS), embedded(2, 1)
    words = model.get_input_embeddings()(ids).detach().clone()
    words[0, 2:4], words[1, 0] = given.embeddings[0], given.embeddings[1, 0]
    with torch.no_grad():
        wanted = model(inputs_embeds=words).logits
        injector = Injector(model, MARK)
        with injector.given(given):
            found = model(input_ids=ids).logits
        torch.testing.assert_close(found, wanted)
        injector.remove()
        assert not torch.allclose(model(input_ids=ids).logits, wanted)


@pytest.mark.parametrize("counts", [(2, 2), (1, 1), (3, 0), (1, 2)])
def test_another_number_of_embeddings_is_refused(model: Any, counts: tuple[int, int]) -> None:
    injector, given = Injector(model, MARK), embedded(*counts)
    both = rf"\[2, 1\] placeholder.*\[{counts[0]}, {counts[1]}\] embeddings"
    with pytest.raises(ValueError, match=both), injector.given(given):
        model(input_ids=torch.tensor(WORDS))
    with pytest.raises(ValueError, match=r"\[2, 1\] placeholder.* 0 embeddings"):
        model(input_ids=torch.tensor(WORDS))
    with pytest.raises(ValueError, match=r"\[1, 2\] embeddings but was not called"), injector.given(embedded(1, 2)):
        pass
    model(input_ids=torch.tensor([[5, 6, 7]]))  # without placeholders all is as ever


def test_generating_reads_them_once(model: Any) -> None:
    ids, given = torch.tensor(WORDS[:1]), embedded(2)
    table = model.get_input_embeddings().weight.detach()
    words = table[ids]
    words[0, 2:4] = given.embeddings[0]
    wanted = []
    for _ in range(5):
        with torch.no_grad():
            wanted.append(int(model(inputs_embeds=words).logits[0, -1].argmax()))
            words = torch.cat([words, table[wanted[-1:]][None]], 1)
    with Injector(model, MARK).given(given):
        found = model.generate(ids, max_new_tokens=5, do_sample=False, eos_token_id=None, pad_token_id=2)
    assert found[0, 6:].tolist() == wanted


def test_only_the_encoder_and_the_adapters_learn(model: Any) -> None:
    before = {name: values.clone() for name, values in model.state_dict().items()}
    rae, model = RegionAwareEncoder(RAE, 4.0), add_lora(model, LoraConfig(4, 8, 0.0))
    learning = trainable(rae, model)
    views = [make_view(0, 2), make_view(1, 1)]
    injector = Injector(model, MARK)
    optimiser = torch.optim.AdamW(learning, lr=1e-2)
    for _ in range(2):  # B is zero at first, and A learns once it is not
        given = rae(collate_views(views))
        longest = int(given.counts.max())
        ids = torch.tensor([[MARK] * n + [5] * (longest - n) + [6, 7, 8] for n in given.counts.tolist()])
        optimiser.zero_grad()
        with injector.given(given):
            model(input_ids=ids, labels=ids).loss.backward()
        learned = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        idle = [name for name, p in rae.named_parameters() if p.grad is None or not p.grad.any()]
        optimiser.step()
    assert idle == []
    assert learned == {name for name, _ in model.named_parameters() if "lora_" in name} and len(learned) == 2 * 4 * 2
    injector.remove()
    with model.disable_adapter():
        for name, values in model.get_base_model().state_dict().items():
            if "lora_" not in name:
                torch.testing.assert_close(values, before[name.replace(".base_layer", "")], rtol=0, atol=0)


def test_new_adapters_change_nothing(folder: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        plain = language_model(folder)(input_ids=ids).logits
        fresh = add_lora(language_model(folder), LoraConfig(4)).eval()(input_ids=ids).logits
        changed = tuned(folder)(input_ids=ids).logits
    torch.testing.assert_close(fresh, plain, rtol=0, atol=0)
    assert not torch.allclose(changed, plain, atol=1e-2)


def test_adapters_come_back_as_they_were(folder: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    one, other = tuned(folder), add_lora(language_model(folder), LoraConfig(4, 8)).eval()
    weights = lora_weights(one)
    assert sorted(weights)[0] == "model.layers.0.self_attn.k_proj.A" and len(weights) == 16
    set_lora_weights(other, weights)
    with torch.no_grad():
        torch.testing.assert_close(other(input_ids=ids).logits, one(input_ids=ids).logits)
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.k_proj\.A is missing"):
        set_lora_weights(
            other, {name: values for name, values in weights.items() if "0.self_attn.k_proj.A" not in name}
        )


@pytest.mark.parametrize("name", ["q", "k", "v", "o"])
def test_attention_of_the_language_model_is_adapted_whatever_is_around_it(name: str) -> None:
    for before in ("model.", "", "model.language_model.", "language_model.model.", "model.text_model."):
        assert is_target(f"{before}layers.11.self_attn.{name}_proj")


@pytest.mark.parametrize(
    "name",
    [
        "model.visual.blocks.0.attn.qkv",  # Qwen2.5-VL
        "model.visual.layers.0.self_attn.q_proj",
        "model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj",  # LLaVA with CLIP
        "vision_tower.vision_model.encoder.layers.23.self_attn.k_proj",
        "model.vision_model.encoder.layers.0.self_attn.v_proj",  # SmolVLM with SigLIP
        "model.image_newline.layers.0.self_attn.q_proj",
        "model.multi_modal_projector.linear_1",
        "model.visual.layers.0.mlp.gate_proj",
        "model.layers.0.mlp.gate_proj.lora_A",
        "model.layers.0.self_attn.q_proj.lora_A",
        "lm_head",
        "model.embed_tokens",
    ],
)
def test_nothing_else_is_adapted(name: str) -> None:
    assert not is_target(name)


def test_a_model_without_such_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="no attention layers"):
        add_lora(torch.nn.Sequential(torch.nn.Linear(2, 2)), LoraConfig())


def test_a_placeholder_is_found_or_added(model: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make_tokenizer())
    rows = model.get_input_embeddings().weight.shape[0]
    assert placeholder_of(tokenizer, model, "<|endoftext|>") == 0
    assert model.get_input_embeddings().weight.shape[0] == rows
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        number = placeholder_of(tokenizer, model, "<|anomaly_pad|>")
        assert number == rows == placeholder_of(tokenizer, model, "<|anomaly_pad|>")
        assert tokenizer.encode("the<|anomaly_pad|>").count(number) == 1
        torch.testing.assert_close(model(input_ids=ids).logits[..., :rows], before)
        with Injector(model, number).given(embedded(1)):
            model(input_ids=torch.tensor([[5, number]]))
