"""Threads that work for the event loop, and that don't keep the process from ending at once."""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
Calls = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class Workers:
    """Threads that take one call after the other.

    Those of the standard library's executors are waited for when the interpreter ends: Ctrl-C would not end a server
    that is making a large page.

    Args:
        count: How many calls run at a time.
    """

    def __init__(self, count: int) -> None:
        self._calls: Calls = queue.SimpleQueue()
        for _ in range(count):
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
            weakref.finalize(self, self._calls.put, None)

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run a call in one of the threads."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call, while the event loop goes on."""
        return await asyncio.wrap_future(self.submit(call))


def _work(calls: Calls) -> None:
    """Take calls until there is nobody left who could give one."""
    while (taken := calls.get()) is not None:
        future, call = taken
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)
        del taken, future, call  # what was asked for is not kept until the next call
