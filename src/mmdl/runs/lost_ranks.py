"""What a collective says that did not end, in words: which rank is gone or late, and where to look."""

from __future__ import annotations

import re
import socket
import time
import traceback
from pathlib import Path

from mmdl.errors import RunError, UserError
from mmdl.runs.activity import activity
from mmdl.runs.flight_recorder import pending_collectives
from mmdl.runs.peers import PATIENCE_S, peers

_CLOSED = re.compile(
    r"Connection (?:closed|reset) by peer|[Bb]roken pipe|[Ss]ocket ?(?:closed|error)|ncclRemoteError"
    r"|remote process exited|Connection was likely closed|failed to recv|recvValue failed|sendBytes failed"
)
_LATE = re.compile(
    r"Timed out waiting \d+ms|time(?:d )?out after \d+ ?m|Watchdog caught collective operation timeout"
    r"|Application timeout caused pair closure"
)
_FROM_RANKS = re.compile(r"gloo|nccl|TCPStore|c10d|pair|ProcessGroup", re.IGNORECASE)


def lost_ranks(error: BaseException, folder: Path, again: str) -> UserError | None:
    """The error for a run whose ranks have lost each other; None where it is another.

    Args:
        error: What was raised on this rank.
        folder: Where its stack is written.
        again: The command that goes on.
    """
    text = str(error)
    if isinstance(error, UserError) or not isinstance(error, RuntimeError) or not _several():
        return None
    late = _LATE.search(text)
    if not _FROM_RANKS.search(text) or not (late or _CLOSED.search(text)):
        return None
    where = f"rank {peers.rank}, in {activity},"
    path = _written(error, folder)
    others = [peers.name(rank) for rank in range(len(peers.known)) if rank != peers.rank] or [
        "the other ranks"
    ]
    gone = [peers.name(rank) for rank in peers.gone(0.0 if late else PATIENCE_S)]
    fix = f"{again}, once the cause is found"
    if gone or not late:
        who = " and ".join(gone) or _address(text, others)
        return RunError(
            f"{who} {'have' if len(gone) > 1 else 'has'} ended, and {where} waited for it; "
            f"its own message or the scheduler says why; the stack is in {path}",
            valid="ranks that all live",
            fix=fix,
        )
    waited = time.monotonic() - activity.since
    # Of ranks elsewhere it is only known that they have closed no connection.
    here = peers.known and all(host == socket.gethostname() for host, _ in peers.known)
    live = "live" if here else "seem to live"
    return RunError(
        f"{where} has waited {waited:.0f} s for {' and '.join(others[:4])}"
        + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        + f", which {live}; the stacks of all ranks are in {folder}, that of this one is {path.name}",
        valid="a collective within strategy.timeout_minutes",
        fix=f"strategy.timeout_minutes=30 if a rank may be so slow; {fix}",
    )


def _several() -> bool:
    import torch.distributed as dist

    return bool(peers.known) or (dist.is_initialized() and dist.get_world_size() > 1)


def _address(text: str, others: list[str]) -> str:
    if len(others) == 1 and peers.known:
        return others[0]
    found = re.search(r"peer \[?([^\]\s]+)\]?:\d+", text)
    return f"a rank on {found[1]}" if found else "another rank"


def _written(error: BaseException, folder: Path) -> Path:
    # Under a scheduler each start of a job may lose its ranks; the next one must not take the stack of this one away.
    path = folder / f"rank={peers.rank}-lost-{time.strftime('%m%d-%H%M%S')}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    begun = "".join(f"begun, not ended: {line}\n" for line in pending_collectives())
    path.write_text(begun + "".join(traceback.format_exception(error)))
    return path
