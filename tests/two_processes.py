"""A function in two processes that train together, as accelerate's launcher starts them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch

WAIT_S = 180


def in_two(run: Callable[..., None], *given: Any) -> list[int | None]:
    """run(rank, *given) in both; their exit codes, a negative one for what did not end within WAIT_S."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # everything is imported already
    both = [context.Process(target=_joined, args=(rank, port, run, given)) for rank in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(WAIT_S)
    for one in both:
        one.kill()
        one.join()
    return [one.exitcode for one in both]


def _joined(rank: int, port: int, run: Callable[..., None], given: tuple[Any, ...]) -> None:
    from accelerate.state import AcceleratorState, PartialState

    AcceleratorState._reset_state(True)
    PartialState._reset_state()
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    run(rank, *given)
    torch.distributed.destroy_process_group()
