"""Two processes that train the region tokens of `mini` together stop at the same step, whatever their clocks say."""

import itertools
import multiprocessing
import os
import socket
from pathlib import Path

import pytest
import torch
from tiny_llama import make_folder
from tiny_lvlm import make_adapter

from training.lvlm import loop
from training.lvlm.loop import Options, Training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)


def run_as(rank: int, world: int, port: int, folder: Path, place: Path) -> None:
    from accelerate.state import AcceleratorState, PartialState

    AcceleratorState._reset_state(True)
    PartialState._reset_state()
    about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in about.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    ticks = itertools.count(step=20.0 if rank == 0 else 65.0)  # the second one's minute is over at its first step
    loop.time.monotonic = lambda: next(ticks)
    options = Options(
        out=place / "out", start=str(place / "start"), minutes=1, batch=2, turns=2, normal_turns=1, every=100, check=0,
        checked=4, warm_up=2, threads=1, cpu=True,
    )  # fmt: skip
    training = Training(options, folder, torch.float32, say=lambda line: None)
    assert training.accelerator.num_processes == world
    training.run()
    (place / f"steps{rank}").write_text(str(training.progress.step))
    torch.distributed.destroy_process_group()


def test_processes_whose_clocks_differ_stop_together(folder: Path, tmp_path: Path) -> None:
    make_adapter(folder).save(tmp_path / "start")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # everything is imported already
    both = [context.Process(target=run_as, args=(n, 2, port, folder, tmp_path)) for n in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    for one in both:
        one.kill()
    assert [one.exitcode for one in both] == [0, 0]
    assert [(tmp_path / f"steps{n}").read_text() for n in range(2)] == ["3", "3"]
    assert (tmp_path / "out" / "adapter").is_dir()
