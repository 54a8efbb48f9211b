"""What the ranks of one launch must know alike before any of them writes: over the store at which they will meet."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

WAIT = timedelta(minutes=10)
"""How long a rank waits for the others to start."""

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment of a rank that torchrun, or something like it, has started."""

_stores: list[Any] = []


def are_ranks(environment: dict[str, str] | None = None) -> bool:
    """Whether something has started several processes as ranks of one run.

    >>> are_ranks({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"})
    True
    """
    env = os.environ if environment is None else environment
    return all(env.get(name) for name in NEEDED) and env["WORLD_SIZE"] != "1"


def shared(name: str, make: Callable[[], str]) -> str:
    """What rank 0 makes, on all ranks; where torchrun starts the ranks once more, what rank 0 made at first.

    Args:
        name: Of what is made.
        make: Called on rank 0 only.
    """
    store = _store()
    if int(os.environ["RANK"]) == 0:
        value: bytes = store.compare_set(f"mmdl/{name}", "", make())
        return value.decode()
    value = store.get(f"mmdl/{name}")
    return value.decode()


def attempt() -> int:
    """How often torchrun has started these ranks once more (`--max-restarts`), 0 at first."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0)


def remember_begun(run_id: str) -> None:
    """Rank 0 has made the folder of this run; later attempts continue it."""
    if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS") or 0) and are_ranks():
        _store().compare_set(f"mmdl/begun/{run_id}", "", str(attempt()))


def was_begun(run_id: str) -> bool:
    """Whether an earlier attempt of this launch has made the folder of this run, and not somebody else."""
    if not attempt() or not are_ranks():
        return False
    store, key = _store(), f"mmdl/begun/{run_id}"
    return bool(store.check([key])) and int(store.get(key)) < attempt()


def meet_anew() -> None:
    """Have ranks that torchrun starts once more meet at a store of their own.

    The agent's store still holds the addresses of the ranks that are gone, to which some would connect
    (pytorch #135712).
    """
    if attempt() and are_ranks() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        port = shared(f"port/{attempt()}", _free_port)
        os.environ.update(MASTER_PORT=port, TORCHELASTIC_USE_AGENT_STORE="False")


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("", 0))
        return str(found.getsockname()[1])


def _store() -> Any:
    """torchrun's own, which outlives an attempt; else one that rank 0 serves, later for the process group too."""
    if not _stores:
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://", timeout=WAIT))
        _stores.append(store)
    return _stores[0]
