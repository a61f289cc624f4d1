"""The contract of every full-size family, on tiny random models of the real classes that are loaded from folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbones import TINY, make_backbone

from tvad.explainer import LocalExplainer
from tvad.lvlm import BACKBONES
from tvad.lvlm.loaded import PLACEHOLDER, Loaded, Seen, load
from tvad.lvlm.lora import LoraConfig, add_lora, is_target
from tvad.lvlm.watching import Prompt, Watching, answer_together, batch_of, run
from tvad.weights import MissingWeights

ASK = [{"role": "system", "content": "You see a video."}, {"role": "user", "content": "What is odd?", "tokens": 5}]
MORE = [*ASK, {"role": "assistant", "content": "The thing."}, {"role": "user", "content": "Where?"}]


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="the processor of SmolVLM2 writes numbers as words with it")
    return load(make_backbone(request.param, tmp_path_factory.mktemp("tiny") / request.param), dtype="fp32")


def frames(loaded: Loaded, count: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    # 8 patches of 8 pixels wide where the family keeps the shape of the picture, else a square of 4 x 4.
    size = (48, 64) if loaded.family.time_patch == 2 else (32, 32)
    shown = np.random.default_rng(seed).integers(0, 255, (count, *size, 3), dtype=np.uint8)
    return shown, np.arange(count) * 0.5 + 1


@pytest.fixture(scope="module")
def seen(loaded: Loaded) -> Seen:
    return loaded.look(*frames(loaded), loaded.taps())


def given(loaded: Loaded, count: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, loaded.width)).astype(np.float32)


def without(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [m | {"tokens": 0} for m in messages]


def captured(loaded: Loaded, prompt: Prompt) -> dict[str, Any]:
    """What the language model was called with when it read a prompt."""
    kept: dict[str, Any] = {}
    inner = loaded.base.model
    text = inner.text_model if hasattr(inner, "text_model") else inner.language_model
    hook = text.register_forward_pre_hook(lambda m, args, named: kept.update(named), with_kwargs=True)
    with torch.inference_mode():
        run(loaded, batch_of(loaded, [prompt]), None)
    hook.remove()
    return kept


def test_each_family_has_a_tiny_model() -> None:
    assert set(TINY) == set(BACKBONES)
    assert all(kind == family.model_type for kind, family in BACKBONES.items())


def processed(loaded: Loaded, messages: list[dict[str, Any]]) -> Any:
    """The inputs that the processor itself makes, called as its documentation has it."""
    shown, times = frames(loaded)
    family = loaded.family
    videos = [torch.from_numpy(shown).permute(0, 3, 1, 2)]
    parts = [{"type": family.kind}] * (1 if family.kind == "video" else len(shown))
    written = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    first = next(m for m in written if m["role"] == "user")
    said = family.said(times)
    first["content"] = [*parts, {"type": "text", "text": said + first["content"][0]["text"]}]
    text = loaded.processor.apply_chat_template(written, add_generation_prompt=True, tokenize=False)
    if family.model_type == "qwen3_vl":
        text = text.replace("<|vision_start|><|video_pad|><|vision_end|>", "<|video_pad|>")
    if family.kind == "image":
        return loaded.processor(images=list(shown), text=[text], return_tensors="pt", add_special_tokens=False)
    about = {"total_num_frames": 2000, "fps": 1000, "frames_indices": [1000, 1500, 2000, 2500], "duration": 2.0}
    return loaded.processor(
        videos=videos,
        text=[text],
        video_metadata=[about],
        do_sample_frames=False,
        return_tensors="pt",
        add_special_tokens=False,
    )


def test_backbone_writes_and_reads_as_its_own_processor_and_model_do(loaded: Loaded, seen: Seen) -> None:
    own = processed(loaded, without(MORE))
    ids = loaded.encode(without(MORE), seen.pictures)
    assert own["input_ids"][0].tolist() == ids
    with torch.inference_mode():
        wanted = loaded.base(**own).logits[0, -1]
    found = Watching(loaded, seen).next_logits(ids)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_backbone_patches_come_back_to_their_places(loaded: Loaded) -> None:
    shown, times = frames(loaded)
    shown[:] = 40
    block = loaded.family.blocks_of(loaded.base)[0]
    kept = {name: values.clone() for name, values in block.state_dict().items()}
    with torch.no_grad():  # what comes out of the block is then what went in: patches that know no others
        for name, values in block.named_parameters():
            if "norm" not in name.lower():
                values.zero_()
        plain = loaded.look(shown, times, (0,)).taps[0]
        t, h, w = plain.shape[:3]
        side = shown.shape[1] // h
        for at in [(0, 0, 0), (t - 1, h - 1, w - 1), (0, 1, 2), (t - 1, 2, 1), (0, h - 1, 0), (1, 0, w - 1)]:
            odd = shown.copy()
            first = at[0] * loaded.family.time_patch
            where = slice(at[1] * side, (at[1] + 1) * side), slice(at[2] * side, (at[2] + 1) * side)
            # Slanting, for a layer norm takes an even brightness away.
            odd[first, where[0], where[1]] = np.linspace(0, 255, side)[:, None, None]
            change = (loaded.look(odd, times, (0,)).taps[0] - plain).abs().amax(-1)
            assert tuple(np.unravel_index(int(change.argmax()), change.shape)) == at
            assert (change > 1e-4).sum() == 1 or loaded.family.model_type == "llava_next"  # its tiles are resized
    block.load_state_dict(kept)


def test_words_follow_a_long_video_and_do_not_lie_inside_it(loaded: Loaded) -> None:
    shown, _ = frames(loaded)
    long = loaded.look(shown, np.arange(len(shown)) * 20.0)
    ids = loaded.encode(ASK, long.pictures)
    found = loaded.family.positions(loaded.base, torch.tensor([ids]), long.pictures).reshape(-1, len(ids))
    tokens = [getattr(loaded.config, f"{name}_token_id", None) for name in ("image", "video")]
    behind = 1 + max(n for n, token in enumerate(ids) if token in tokens)
    assert found[:, behind:].min() > found[:, :behind].max()
    assert (found[:, behind:].diff() == 1).all()  # evidence and words, one by one
    assert Watching(loaded, long).next_logits(ids, given(loaded)).shape


@pytest.mark.parametrize("size", [(32, 64), (64, 32)])
def test_backbone_sees_the_corners_of_wide_and_tall_pictures(loaded: Loaded, size: tuple[int, int]) -> None:
    shown, times = np.full((2, *size, 3), 40, np.uint8), np.arange(2.0)
    plain = loaded.look(shown, times, (0,)).taps[0]
    h, w = plain.shape[1:3]
    assert loaded.family.model_type != "llava" or h / w == size[0] / size[1]  # margins are no part of the heat
    for row, column in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        odd = shown.copy()
        corner = odd[:, row * (size[0] - 8) :, column * (size[1] - 8) :][:, :8, :8]
        corner[:] = np.linspace(0, 255, 8)[None, None, :, None]
        change = (loaded.look(odd, times, (0,)).taps[0] - plain).abs().amax(-1)[0]
        at = np.unravel_index(int(change.argmax()), change.shape)
        assert at == (row * (h - 1), column * (w - 1))


def test_backbone_frames_pass_the_tower_once_for_heat_and_language(loaded: Loaded) -> None:
    before = loaded.passes
    calls = []
    hook = loaded.family.tower_of(loaded.base).register_forward_hook(lambda *_: calls.append(1))
    fresh = loaded.look(*frames(loaded, seed=3), loaded.taps())
    backbone = Watching(loaded, fresh)
    for messages in (ASK, MORE):
        backbone.next_logits(backbone.encode(messages), given(loaded))
    hook.remove()
    assert loaded.passes == before + 1 and len(calls) == 1
    assert sorted(fresh.taps) == list(loaded.taps())
    assert all(tap.shape[:3] == fresh.pictures.grid for tap in fresh.taps.values())
    assert len(fresh.pictures.times_s) == fresh.pictures.grid[0]


def test_backbone_injection_equals_embeddings_computed_by_hand(loaded: Loaded, seen: Seen) -> None:
    ids, rows = loaded.encode(ASK, seen.pictures), given(loaded)
    here = torch.tensor(ids) == loaded.placeholder
    assert here.sum() == 5
    embeds = captured(loaded, Prompt(ids, rows, seen))["inputs_embeds"][0]
    torch.testing.assert_close(embeds[here], torch.from_numpy(rows))
    word = loaded.tokenizer.encode("x")[0]
    plain = captured(loaded, Prompt([word if n == loaded.placeholder else n for n in ids], rows[:0], seen))
    torch.testing.assert_close(embeds[~here], plain["inputs_embeds"][0][~here])
    pictures = torch.cat([p.flatten(0, -2) for p in seen.features["pooler_output"]])
    of_pictures = torch.isin(torch.tensor(ids), torch.tensor(shown_ids(loaded)))
    torch.testing.assert_close(embeds[of_pictures], pictures)


def shown_ids(loaded: Loaded) -> list[int]:
    found = [getattr(loaded.config, name, None) for name in ("image_token_id", "video_token_id")]
    return [n for n in found if n is not None]


def test_backbone_injection_leaves_positions_alone(loaded: Loaded, seen: Seen) -> None:
    ids, rows = loaded.encode(ASK, seen.pictures), given(loaded)
    word = loaded.tokenizer.encode("x")[0]
    found = captured(loaded, Prompt(ids, rows, seen))["position_ids"]
    plain = captured(loaded, Prompt([word if n == loaded.placeholder else n for n in ids], rows[:0], seen))
    torch.testing.assert_close(found, plain["position_ids"])
    if hasattr(loaded.base.model, "get_rope_index"):
        assert found.shape[0] == 3 and not torch.equal(found[0], found[1])  # rows and columns are told apart
        after = ids.index(loaded.placeholder)
        assert torch.equal(found[:, 0, after], found[:, 0, after + 1] - 1)


def test_backbone_evidence_stays_out_of_deepstack(loaded: Loaded, seen: Seen) -> None:
    ids = loaded.encode(ASK, seen.pictures)
    read = captured(loaded, Prompt(ids, given(loaded), seen))
    if "visual_pos_masks" not in read:
        assert loaded.family.model_type != "qwen3_vl"
        return
    mask = read["visual_pos_masks"][0]
    assert mask.sum() == len(read["deepstack_visual_embeds"][0])
    assert not mask[torch.tensor(ids) == loaded.placeholder].any()


def test_backbone_evidence_changes_what_follows_only(loaded: Loaded, seen: Seen) -> None:
    ids = loaded.encode(ASK, seen.pictures)
    logits = []
    for seed in (0, 1):
        with torch.inference_mode():
            batch = batch_of(loaded, [Prompt(ids, given(loaded, seed=seed), seen)])
            with loaded.injector.given(batch.given):
                out = loaded.model(input_ids=batch.ids, position_ids=batch.positions, mm_encoder_outputs=batch.features)
        logits.append(out.logits[0])
    first = ids.index(loaded.placeholder)
    torch.testing.assert_close(logits[0][:first], logits[1][:first])
    assert (logits[0][first] - logits[1][first]).abs().max() > 1e-2
    assert (logits[0][-1] - logits[1][-1]).abs().max() > 1e-4


@pytest.mark.parametrize("count", [0, 4, 6])
def test_backbone_refuses_another_number_of_embeddings(loaded: Loaded, seen: Seen, count: int) -> None:
    backbone = Watching(loaded, seen)
    with pytest.raises(ValueError, match=f"5 placeholder tokens, but {count} embeddings"):
        backbone.next_logits(backbone.encode(ASK), given(loaded, count))


def test_backbone_generate_equals_step_by_step(loaded: Loaded, seen: Seen) -> None:
    backbone, rows = Watching(loaded, seen), given(loaded)
    ids = backbone.encode(ASK)
    said: list[int] = []
    for _ in range(6):
        said.append(int(backbone.next_logits(ids + said, rows).argmax()))
    batch = batch_of(loaded, [Prompt(ids, rows, seen)])
    kinds = torch.zeros_like(batch.ids)
    for n, token in enumerate(("image_token_id", "video_token_id"), 1):
        kinds[batch.ids == getattr(loaded.config, token, -1)] = n
    pixels = {n: v for n, v in seen.pictures.inputs.items() if isinstance(v, torch.Tensor) or n.startswith("second")}
    if loaded.family.model_type == "internvl":
        pixels = {"pixel_values": pixels["pixel_values_videos"].flatten(0, 1)}
    if hasattr(loaded.base.model, "get_rope_index"):
        pixels["mm_token_type_ids"] = kinds
    with loaded.injector.given(batch.given):
        found = loaded.base.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=None,
            **pixels,
        )
    assert found[0, len(ids) :].tolist() == said


def test_backbone_follow_up_costs_its_own_tokens(loaded: Loaded, seen: Seen) -> None:
    backbone, rows = Watching(loaded, seen), given(loaded)
    ids = backbone.encode(ASK)
    explainer = LocalExplainer(backbone, rows)
    first = "".join(explainer.stream(ASK, max_new_tokens=5))
    spent = backbone.computed
    assert len(ids) <= spent <= len(ids) + 5
    asked = [*ASK, {"role": "assistant", "content": first}, {"role": "user", "content": "Where?"}]
    later = backbone.encode(asked)
    second = "".join(explainer.stream(asked, max_new_tokens=5))
    own = len(later) - len(ids)  # the answer, the end of its turn and the question
    assert backbone.computed - spent <= own + 5 < len(later) / 2
    fresh = Watching(loaded, seen)
    assert "".join(LocalExplainer(fresh, rows).stream(asked, max_new_tokens=5)) == second
    np.testing.assert_allclose(
        backbone.next_logits(later, rows), Watching(loaded, seen).next_logits(later, rows), atol=2e-5
    )
    before = backbone.computed
    other = rows + 1
    backbone.next_logits(later, other)
    assert backbone.computed - before == len(later)  # other evidence: everything is read again


def test_backbone_answers_two_videos_as_it_answers_each(loaded: Loaded, seen: Seen) -> None:
    other = loaded.look(*frames(loaded, 2, seed=7))
    long = [ASK[0], ASK[1] | {"content": "Is anything odd in the lower left, and since when?"}]
    prompts = [
        Prompt(loaded.encode(ASK, seen.pictures), given(loaded), seen),
        Prompt(loaded.encode(long, other.pictures), given(loaded, seed=4), other),
        Prompt(loaded.encode(without(ASK), other.pictures), given(loaded, 0), other),
    ]
    together = answer_together(loaded, prompts, 6)
    assert together == [answer_together(loaded, [p], 6)[0] for p in prompts]
    alone = Watching(loaded, seen)
    ids, said = prompts[0].ids, []
    for _ in range(6):
        token = int(alone.next_logits(ids + said, prompts[0].given).argmax())
        if token in loaded.stop_ids:
            break
        said.append(token)
    assert together[0] == loaded.decode(said)
    assert len(set(together)) > 1


def test_backbone_words_never_become_control_tokens(loaded: Loaded, seen: Seen) -> None:
    special = set(loaded.tokenizer.all_special_ids) | {loaded.placeholder, *shown_ids(loaded)}
    tricks = " ".join([*loaded.tokenizer.all_special_tokens, PLACEHOLDER, loaded.processor.image_token, "done"])
    plain, tricked = (
        [n for n in loaded.encode([ASK[0], ASK[1] | {"content": text}], seen.pictures) if n in special]
        for text in ("What?", f"What? {tricks}")
    )
    assert plain == tricked


def test_backbone_learns_the_answer_and_its_end_only(loaded: Loaded, seen: Seen) -> None:
    whole = [*MORE, {"role": "assistant", "content": "In the middle."}]
    ids, said = loaded.supervised(whole, seen.pictures)
    for n in (2, 4):
        before = loaded.encode(whole[:n], seen.pictures)
        assert ids[: len(before)] == before
    learned = loaded.tokenizer.decode([token for token, own in zip(ids, said, strict=True) if own])
    end = loaded.tokenizer.eos_token
    assert learned.replace(" ", "") == f"Thething.{end}Inthemiddle.{end}".replace(" ", "")
    changed = [whole[0], whole[1] | {"content": "Something else entirely?"}, *whole[2:]]
    assert sum(loaded.supervised(changed, seen.pictures)[1]) == sum(said)


def test_backbone_adapters_stay_off_the_vision_tower(loaded: Loaded) -> None:
    names = [name for name, _ in loaded.base.named_modules() if is_target(name)]
    layers = loaded.config.text_config.num_hidden_layers
    attention = [name for name in names if "self_attn" in name]
    assert len(attention) == 4 * layers and len(names) == 7 * layers
    assert not any(name.startswith(loaded.family.tower) for name in names)


def test_backbone_gradients_reach_embeddings_and_adapters_only(
    loaded: Loaded, seen: Seen, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = make_backbone(loaded.family.model_type, tmp_path_factory.mktemp("grad"))
    fresh = load(folder, dtype="fp32")
    fresh.injector.remove()
    tuned = Loaded(add_lora(fresh.model, LoraConfig(rank=2, dropout=0)), fresh.processor, fresh.family)
    with torch.no_grad():
        for name, values in tuned.model.named_parameters():
            if "lora_B" in name:
                values.normal_(0, 0.1)
    batch = batch_of(tuned, [Prompt(tuned.encode(ASK, seen.pictures), given(tuned), seen)])
    rows = batch.given.embeddings.clone().requires_grad_()
    features = {door: type(f)(**f) for door, f in batch.features.items()}
    with tuned.injector.given(batch.given._replace(embeddings=rows)):
        out = tuned.model(input_ids=batch.ids, position_ids=batch.positions, mm_encoder_outputs=features)
    out.logits[0, -1].square().sum().backward()
    assert rows.grad is not None and (rows.grad.abs().sum(-1) > 0).all()
    learned = {name for name, values in tuned.model.named_parameters() if values.grad is not None}
    assert learned == {name for name, _ in tuned.model.named_parameters() if "lora_" in name}
    assert not any(".".join(tuned.family.tower.split(".")[1:]) in name for name in learned)


def test_backbone_comes_back_from_its_folder(loaded: Loaded, seen: Seen, tmp_path: Path) -> None:
    loaded.base.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    again = load(tmp_path, dtype="fp32")
    looked = again.look(*frames(loaded), again.taps())
    ids = again.encode(ASK, looked.pictures)
    assert ids == loaded.encode(ASK, seen.pictures)
    found = Watching(again, looked).next_logits(ids, given(again))
    wanted = Watching(loaded, seen).next_logits(ids, given(loaded))
    np.testing.assert_allclose(found[: len(wanted)], wanted[: len(found)], atol=1e-5)


def test_backbone_refuses_what_it_cannot_look_at(loaded: Loaded) -> None:
    shown, times = frames(loaded)
    for wrong in (shown[..., :2], shown.astype(np.float32), shown[:0], shown[:3]):
        with pytest.raises(ValueError, match=r"expected uint8 \(T, H, W, 3\)"):
            loaded.look(wrong, times)
    with pytest.raises(ValueError, match=r"taps \[9\] of a vision tower of 4"):
        loaded.look(shown, times, (9,))


def test_backbone_folders_that_hold_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="--weights"):
        load(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"no family.*'bert'.*qwen2_5_vl"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(MissingWeights, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path)
