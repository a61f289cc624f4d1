"""Batches of labelled videos: balanced, brought to T steps, and the same for the same seed and step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from temporal_fakes import QUICK, WIDTH, made

from training.datasets.weak import WeakVideo
from training.temporal.batches import FeatureStore, batch_at, edges, epoch_steps, segment_maxima, segment_means
from tvad.temporal.mil_ranking import segments


@pytest.fixture
def videos(tmp_path: Path) -> list[WeakVideo]:
    return made(tmp_path / "data")


@pytest.mark.parametrize("steps", [1, 3, 8, 9, 20, 64])
def test_segments_are_those_of_the_heads(steps: int) -> None:
    x = np.random.default_rng(steps).normal(size=(steps, 4)).astype(np.float32)
    assert edges(steps, 8).tolist() == np.floor(np.linspace(0, steps, 9) + 1e-9).astype(int).tolist()
    np.testing.assert_allclose(segment_means(x, 8), segments(torch.from_numpy(x), 8).numpy(), atol=1e-6)
    values = np.arange(steps, dtype=np.float32)
    assert segment_maxima(values, 8)[-1] == steps - 1


def test_segment_means_by_hand() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]], np.float32)
    assert segment_means(x, 2).tolist() == [[0.5], [5.0]]  # [0, 2) and [2, 5)
    assert segment_means(x[:2], 3).tolist() == [[0.0], [0.0], [1.0]]
    assert segment_maxima(x[:, 0], 2).tolist() == [1.0, 10.0]


def test_batches_are_balanced_by_label_and_follow_from_seed_and_step(videos: list[WeakVideo]) -> None:
    uneven = [*videos[:4], *(v for v in videos if v.labels)]
    store = FeatureStore(list(dict.fromkeys(uneven)))
    assert store.names == ("normal", "fight", "fire") and store.width == WIDTH
    config = replace(QUICK, normal=2, anomalous=3)
    batch = batch_at(store, config, 5)
    assert batch.y[:, 0].tolist() == [1, 1, 0, 0, 0]
    by_name = {v.name: v for v in videos}
    for row, name in enumerate(batch.videos):
        assert [store.names[i] for i in batch.y[row].nonzero().flatten()] == list(by_name[name].labels or ["normal"])
    again = batch_at(FeatureStore(store.videos), config, 5)
    assert torch.equal(batch.x, again.x) and batch.videos == again.videos
    assert batch_at(store, config, 6).videos != batch.videos != batch_at(store, replace(config, seed=1), 5).videos
    other = batch_at(store, config, 2, rank=1, ranks=2)  # as if it were step 5 of one process
    assert other.videos == batch.videos


def test_every_crop_comes_once_before_any_comes_again(tmp_path: Path) -> None:
    store = FeatureStore(made(tmp_path / "data", 4, crops=3))
    assert len(store.items) == 12 and epoch_steps(store, replace(QUICK, normal=2, anomalous=4)) == 3
    seen = [batch_at(store, replace(QUICK, normal=2, anomalous=2), step) for step in range(3)]
    rows = torch.cat([batch.x for batch in seen]).flatten(1)
    assert len(rows.unique(dim=0)) == 12
    assert len(batch_at(store, replace(QUICK, normal=50, anomalous=50), 0).videos) == 12


def test_short_videos_are_padded_long_ones_averaged_stretched_or_cut(tmp_path: Path) -> None:
    for n, steps in enumerate((3, 20)):
        np.save(tmp_path / f"{n}.npy", np.arange(steps, dtype=np.float32)[:, None].repeat(WIDTH, 1) + 1)
    store = FeatureStore([WeakVideo(str(n), ("fire",) * n, (tmp_path / f"{n}.npy",), "") for n in range(2)])
    padded = batch_at(store, QUICK, 0)
    assert padded.mask.sum(1).tolist() == [3, 8] and not padded.x[~padded.mask].any()
    assert padded.x[0, :, 0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
    assert padded.x[1, :3, 0].tolist() == [1.5, 4, 6.5]
    stretched = batch_at(store, replace(QUICK, resample="stretch"), 0)
    assert bool(stretched.mask.all()) and stretched.x[0, :, 0].tolist() == [1, 1, 1, 2, 2, 2, 3, 3]
    cut = [batch_at(store, replace(QUICK, resample="window"), step).x[1, :, 0] for step in range(8)]
    assert all(x.diff().tolist() == [1.0] * 7 for x in cut) and len({float(x[0]) for x in cut}) > 2


def test_pseudo_labels_go_the_way_of_the_features(tmp_path: Path) -> None:
    pseudo = tmp_path / "pseudo"
    pseudo.mkdir()
    videos = made(tmp_path / "data", 2)
    steps = FeatureStore(videos).items[1].steps
    np.save(pseudo / f"{videos[1].name}.npy", np.linspace(0, 1, steps))
    store = FeatureStore(videos, pseudo=pseudo)
    batch = batch_at(store, replace(QUICK, length=16), 0)
    assert batch.pseudo is not None and not batch.pseudo[0].any()
    np.testing.assert_allclose(batch.pseudo[1, :steps].numpy(), np.linspace(0, 1, steps), atol=1e-6)
    assert not batch.pseudo[~batch.mask].any() and batch.pseudo.dtype == torch.float32
    short = batch_at(store, replace(QUICK, length=2), 0).pseudo
    assert short is not None and short[1, 1] == 1.0
    for wrong, line in (
        (np.zeros(3), "3 pseudo labels"),
        (np.full(steps, 2.0), r"expected \(n,\) numbers in \[0, 1\]"),
    ):
        np.save(pseudo / f"{videos[1].name}.npy", wrong)
        with pytest.raises(ValueError, match=line):
            FeatureStore(videos, pseudo=pseudo)
    (pseudo / f"{videos[1].name}.npy").unlink()
    with pytest.raises(ValueError, match=r"no pseudo labels that can be read"):
        FeatureStore(videos, pseudo=pseudo)


def test_a_window_has_its_own_pseudo_labels(tmp_path: Path) -> None:
    videos, pseudo = made(tmp_path / "data", 2), tmp_path / "pseudo"
    pseudo.mkdir()
    labels = np.linspace(0.2, 1, 30).astype(np.float32)
    np.save(videos[1].features[0], labels[:, None].repeat(WIDTH, 1))
    np.save(pseudo / f"{videos[1].name}.npy", labels)
    store = FeatureStore(videos, pseudo=pseudo)
    batches = [batch_at(store, replace(QUICK, resample="window"), step) for step in range(6)]
    for batch in batches:
        assert batch.pseudo is not None and torch.equal(batch.pseudo[1], batch.x[1, :, 0])
    assert len({float(batch.x[1, 0, 0]) for batch in batches}) > 2


def test_a_store_names_what_is_wrong(videos: list[WeakVideo], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no video"):
        FeatureStore([])
    with pytest.raises(ValueError, match="class 'fight' is unknown; there are normal, fire"):
        FeatureStore(videos, ("normal", "fire"))
    bad = np.zeros((4, WIDTH), np.float32)
    bad[0, 0] = np.nan
    np.save(videos[3].features[0], bad)
    with pytest.raises(ValueError, match=r"v0x03\.npy: 1 numbers of the features are not finite"):
        FeatureStore(videos)
    store = FeatureStore(videos, cache_bytes=0)  # too much to keep: read when it is needed
    with pytest.raises(ValueError, match=r"v0x03\.npy: 1 numbers"):
        store.whole(videos[3])
    np.save(tmp_path / "b.npy", np.zeros((3, WIDTH), np.float32))
    two = replace(videos[0], features=(*videos[0].features, tmp_path / "b.npy"))
    with pytest.raises(ValueError, match=r"crops of v0x00 have \[3, \d+\] snippets"):
        FeatureStore([two]).whole(two)


def test_a_cache_that_is_full_changes_nothing(videos: list[WeakVideo]) -> None:
    whole, none = FeatureStore(videos), FeatureStore(videos, cache_bytes=1000)
    assert torch.equal(batch_at(whole, QUICK, 1).x, batch_at(none, QUICK, 1).x)
