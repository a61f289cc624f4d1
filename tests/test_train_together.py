"""Two processes that train the region tokens of `mini` together stop at the same step, whatever their clocks say."""

import itertools
from pathlib import Path

import pytest
import torch
from tiny_llama import make_folder
from tiny_lvlm import make_adapter
from two_processes import in_two

from training.lvlm import loop
from training.lvlm.loop import Options, Training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)


def run_as(rank: int, folder: Path, place: Path) -> None:
    ticks = itertools.count(step=20.0 if rank == 0 else 65.0)  # the second one's minute is over at its first step
    loop.time.monotonic = lambda: next(ticks)
    options = Options(
        out=place / "out", start=str(place / "start"), minutes=1, batch=2, turns=2, normal_turns=1, every=100, check=0,
        checked=4, warm_up=2, threads=1, cpu=True,
    )  # fmt: skip
    training = Training(options, folder, torch.float32, say=lambda line: None)
    assert training.accelerator.num_processes == 2
    training.run()
    (place / f"steps{rank}").write_text(str(training.progress.step))


def test_processes_whose_clocks_differ_stop_together(folder: Path, tmp_path: Path) -> None:
    make_adapter(folder).save(tmp_path / "start")
    assert in_two(run_as, folder, tmp_path) == [0, 0]
    assert [(tmp_path / f"steps{n}").read_text() for n in range(2)] == ["3", "3"]
    assert (tmp_path / "out" / "adapter").is_dir()
