"""Text towers on CLIP: tiny random models of the real classes, and a tokenizer of words."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_towers import save_tower
from torch import nn

from tvad.temporal.clip_text import AdaptedClip, LearnedContext, PromptedClip, read_clip_text
from tvad.temporal.finevad import FineVad, FineVadConfig

NAMES = ("normal", "fire", "car accident", "person walking fast")
WORDS = ("normal", "fire", "car", "accident", "person", "walking", "fast", "a", "photo", "of")
START, END, FREE = 3, 4, 20  # ids of start and end; ids from FREE on belong to no word
ROOM, HIDDEN, DEPTH = 24, 16, 4


class TinyTokenizer:
    """Words to ids, as a tokenizer of transformers is called."""

    bos_token_id, eos_token_id = START, END

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        ids = [WORDS.index(w) + 5 for w in text.lower().split()]
        return {"input_ids": [START, *ids, END] if add_special_tokens else ids}


def tiny_clip(width: int = 32, seed: int = 0) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=FREE + ROOM, hidden_size=HIDDEN, intermediate_size=24, num_hidden_layers=DEPTH,
        num_attention_heads=2, max_position_embeddings=ROOM, projection_dim=width, bos_token_id=START,
        eos_token_id=END, pad_token_id=0,
    )  # fmt: skip
    model = CLIPTextModelWithProjection(config).eval()
    for p in model.parameters():  # the class's own start is too calm to tell tokens apart
        if p.ndim > 1:
            nn.init.normal_(p, std=0.3)
    return model


def prompted(width: int = 32, names: tuple[str, ...] = NAMES, seed: int = 0) -> PromptedClip:
    clip = tiny_clip(width, seed)
    return PromptedClip(clip, TinyTokenizer(), names, before=3, after=2)


def adapted(width: int = 32, names: tuple[str, ...] = NAMES, layers: int = 2, share: float = 0.4) -> AdaptedClip:
    clip = tiny_clip(width)
    return AdaptedClip(clip, TinyTokenizer(), names, layers, share)


def plain(clip: Any, texts: tuple[str, ...] = NAMES) -> torch.Tensor:
    """What the model itself makes of texts."""
    with torch.no_grad():
        rows = [clip(input_ids=torch.tensor([TinyTokenizer()(t)["input_ids"]])).text_embeds for t in texts]
    return torch.cat(rows)


def stir(module: nn.Module) -> None:
    with torch.no_grad():
        for p in module.parameters():
            if p.requires_grad:
                p.normal_()


def test_context_stands_around_the_class_and_the_end_after_it() -> None:
    text = prompted(names=("fire", "person walking fast"))
    fire, person, walking, fast = (WORDS.index(w) + 5 for w in ("fire", "person", "walking", "fast"))
    assert text.tokens.tolist() == [
        [START, -1, -1, -1, fire, -1, -1, END, -1, -1],
        [START, -1, -1, -1, person, walking, fast, -1, -1, END],
    ]
    # before + (class tokens + 1) + after
    assert text.ends.tolist() == [3 + (1 + 1) + 2, 3 + (3 + 1) + 2]
    assert text.context.shape == (ROOM, HIDDEN)


def test_ten_and_ten_is_the_usual_context() -> None:
    text = PromptedClip(tiny_clip(), TinyTokenizer(), ("fire",))
    assert text.ends.tolist() == [10 + (1 + 1) + 10] and text.tokens[0, 11] == WORDS.index("fire") + 5


def test_prompted_texts_are_those_of_the_model_with_the_context_in_its_vocabulary() -> None:
    text = prompted()
    stir(text)
    clip = tiny_clip()
    with torch.no_grad():
        clip.text_model.embeddings.token_embedding.weight[FREE:] = text.context
        places = FREE + torch.arange(ROOM)
        ids = torch.stack([torch.where(row < 0, places[: len(row)], row) for row in text.tokens])
        expected = clip(input_ids=ids).text_embeds
        torch.testing.assert_close(text(), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected.norm(dim=1), torch.ones(len(NAMES)), atol=0.1)  # not normalised


def test_without_context_a_text_is_the_models_own() -> None:
    clip = tiny_clip()
    text = PromptedClip(clip, TinyTokenizer(), NAMES, before=0, after=0)
    torch.testing.assert_close(text(), plain(clip), rtol=1e-4, atol=1e-5)


def test_plain_texts_are_the_models_own_whatever_was_learned() -> None:
    own = prompted()
    before = own.plain().detach().clone()
    torch.testing.assert_close(before, plain(tiny_clip()), atol=1e-5, rtol=1e-5)
    stir(own)
    assert torch.equal(own.plain(), before)
    learned = LearnedContext(NAMES, torch.eye(len(NAMES)))
    stir(learned)
    assert torch.equal(learned.plain(), torch.eye(len(NAMES))) and not torch.equal(learned(), learned.plain())


def test_a_learned_context_takes_no_part_in_the_groups() -> None:
    four = ("normal", "a", "b", "c")
    rows = torch.tensor([[0.0, 1], [1, 0], [0, 1], [3, 0]]).repeat(1, 12)
    rows[:, 2:] = 0
    words = LearnedContext(four, rows)
    with torch.no_grad():
        words.context.copy_(torch.arange(24.0) * 50 - 300)
    assert FineVad(FineVadConfig(8, 4, macros=2, lgt=False), words).macro.tolist() == [0, 1, 0]


def test_only_the_context_of_places_before_the_end_is_learned() -> None:
    text = prompted().train()
    text().square().sum().backward()
    learned = [name for name, p in text.named_parameters() if p.requires_grad]
    assert learned == ["context"] and text.context.grad is not None
    assert all(p.grad is None for name, p in text.named_parameters() if name != "context")
    used = text.context.grad.abs().sum(1) > 0
    # Place 0 is the start's and 4 every class's first word; the longest text ends on 9, and the others before it.
    assert used.nonzero().flatten().tolist() == [1, 2, 3, 5, 6, 7, 8]


def test_context_is_shared_by_all_classes() -> None:
    text = prompted().eval()
    with torch.no_grad():
        before = text()
        text.context[1, 0] += 1.0
        assert bool(((text() - before).norm(dim=1) > 1e-3).all())


def test_an_adapter_that_does_nothing_leaves_the_texts_alone() -> None:
    text = adapted(layers=3, share=0.0)
    text.out = tiny_clip().text_projection
    torch.testing.assert_close(text(), F.normalize(plain(tiny_clip()), dim=1), rtol=1e-4, atol=1e-5)


def test_adapted_tokens_are_as_long_as_they_were_and_mixed_in_by_share() -> None:
    text = adapted(share=0.4)
    x = torch.randn(2, 5, HIDDEN, generator=torch.Generator().manual_seed(0))
    view = text.view(1, x)
    torch.testing.assert_close(view.norm(dim=-1), x.norm(dim=-1), rtol=1e-4, atol=1e-4)
    weight = text.views[1].weight
    raw = F.leaky_relu(x @ weight.T)
    torch.testing.assert_close(F.normalize(view, dim=-1), F.normalize(raw, dim=-1))
    torch.testing.assert_close(text.after_layer(1, x), 0.4 * view + 0.6 * x)
    assert text.after_layer(2, x) is x  # two adapters, so none after the third layer


def test_adapters_stand_after_the_first_layers() -> None:
    seen: list[int] = []

    class Counting(AdaptedClip):
        def view(self, number: int, x: torch.Tensor) -> torch.Tensor:
            seen.append(number)
            return super().view(number, x)

    Counting(tiny_clip(), TinyTokenizer(), NAMES, layers=3)()
    assert seen == [0, 1, 2]


def test_adapted_texts_have_length_one_and_learn_in_the_adapters_alone() -> None:
    text = adapted().train()
    rows = text()
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(NAMES)))
    rows[:, 0].sum().backward()
    assert [n for n, p in text.named_parameters() if p.requires_grad] == [
        "views.0.weight",
        "views.1.weight",
        "out.0.weight",
    ]
    assert all((p.grad is not None) == p.requires_grad for p in text.parameters())
    assert all(bool(p.grad.any()) for p in text.parameters() if p.grad is not None)


def test_descriptions_of_a_class_are_averaged() -> None:
    clip = tiny_clip()
    one = AdaptedClip(clip, TinyTokenizer(), ("fire", "car accident", "a photo of fire"), layers=1)
    torch.manual_seed(9)
    both = AdaptedClip(
        clip,
        TinyTokenizer(),
        ("flame", "crash"),
        layers=1,
        descriptions=[["fire", "a photo of fire"], ["car accident"]],
    )
    both.load_state_dict(one.state_dict())
    apart = one.out(one.states(one.embedded(one.tokens))[torch.arange(3), one.ends])
    wanted = F.normalize(torch.stack([(apart[0] + apart[2]) / 2, apart[1]]), dim=1)
    torch.testing.assert_close(both(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [prompted, adapted])
def test_a_kept_text_is_never_stale(make: Any) -> None:
    text = make().eval()
    optimiser = torch.optim.SGD([p for p in text.parameters() if p.requires_grad], 1.0)
    with torch.no_grad():
        first = text()
        assert text() is first
    text.train()
    text()[:, 0].sum().backward()
    optimiser.step()
    with torch.no_grad():
        second = text.eval()()
        assert not torch.allclose(first, second)
        assert torch.equal(second, text.encode())
    # Nor where nobody calls train(): the weights changed.
    optimiser.step()
    with torch.no_grad():
        third = text()
        assert not torch.allclose(second, third)
        text.load_state_dict(make().state_dict())
        torch.testing.assert_close(text(), make().eval()())
    # A change behind autograd's back shows after train() and eval().
    for p in text.parameters():
        p.data.mul_(1.5)
    with torch.no_grad():
        assert not torch.allclose(text.train().eval()(), make().eval()())


@pytest.mark.parametrize("make", [prompted, adapted])
def test_the_model_stays_frozen_and_in_eval(make: Any) -> None:
    text = make().train()
    assert text.training and not text.body.training
    assert not any(p.requires_grad for p in [*text.body.parameters(), *text.projection.parameters()])


@pytest.mark.parametrize("make", [prompted, adapted])
def test_towers_copy_and_work_in_half_precision(make: Any) -> None:
    text = make().eval()
    with torch.no_grad():
        rows = text()
        half = copy.deepcopy(text).bfloat16()()
    assert half.dtype == torch.bfloat16
    assert bool((F.cosine_similarity(rows, half.float()) > 0.99).all())


def test_a_saved_model_is_read_whole_or_as_its_text_part(tmp_path: Path) -> None:
    folder = save_tower(tmp_path / "whole", "clip")
    whole, tokenizer = read_clip_text(folder)
    part = tiny_clip()
    part.save_pretrained(tmp_path / "part")
    tokenizer.save_pretrained(tmp_path / "part")
    read, _ = read_clip_text(tmp_path / "part")
    assert torch.equal(plain(read), plain(part))
    names = ("person", "car fire")
    assert PromptedClip(whole, tokenizer, names, 1, 1).tokens.tolist() == [
        [2, -1, 4, -1, 3, -1],
        [2, -1, 12, 7, -1, 3],
    ]
    given = tokenizer(list(names), padding=True, return_tensors="pt")
    wanted = whole.get_text_features(**{k: given[k] for k in ("input_ids", "attention_mask")}).pooler_output
    torch.testing.assert_close(PromptedClip(whole, tokenizer, names, 0, 0)(), wanted, rtol=1e-4, atol=1e-5)


def test_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_tower(tmp_path / "siglip", "siglip")
    with pytest.raises(ValueError, match="a 'siglip' model"):
        read_clip_text(folder)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        read_clip_text(tmp_path)


def test_a_learned_vector_is_added_to_every_text() -> None:
    rows = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    text = LearnedContext(NAMES, rows)
    assert text.width == 6 and text.names == NAMES
    torch.testing.assert_close(text(), rows + text.context)
    text()[0].sum().backward()
    assert [n for n, _ in text.named_parameters()] == ["context"]
    assert text.context.grad is not None and bool((text.context.grad == 1).all())


def test_what_does_not_fit_is_refused() -> None:
    clip, tokenizer = tiny_clip(), TinyTokenizer()
    with pytest.raises(ValueError, match=r"'car accident' with its context has 25 tokens; the model reads 24"):
        PromptedClip(clip, tokenizer, ("fire", "car accident"), before=10, after=11)
    PromptedClip(clip, tokenizer, ("fire", "car accident"), before=10, after=10)
    with pytest.raises(ValueError, match="before is -1"):
        PromptedClip(clip, tokenizer, NAMES, before=-1)
    with pytest.raises(ValueError, match="no class names"):
        PromptedClip(clip, tokenizer, ())
    with pytest.raises(ValueError, match="makes nothing of the class text ''"):
        PromptedClip(clip, tokenizer, ("",))
    with pytest.raises(ValueError, match="layers is 5; the text model has 4"):
        AdaptedClip(clip, tokenizer, NAMES, layers=5)
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        AdaptedClip(clip, tokenizer, NAMES, share=1.5)
    with pytest.raises(ValueError, match="descriptions of 1 classes"):
        AdaptedClip(clip, tokenizer, NAMES, descriptions=[["fire"]])
    with pytest.raises(ValueError, match="a description has 26 tokens; the model reads 24"):
        AdaptedClip(clip, tokenizer, ("fire",), descriptions=[["fire " * 24]])
