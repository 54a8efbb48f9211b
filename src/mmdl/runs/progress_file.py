"""How far a training is, in a small file that a list of runs reads in place of `metrics.jsonl`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmdl.runs.files import TEMPORARY


def write_progress(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace the file; it need not survive a power cut, and a full disk does not end the run here.

    Args:
        path: `progress.json` of the run folder.
        facts: `step`, `total_steps`, `epoch`, `max_epochs`, `samples_per_s`; the `time` now (since 1970) is added.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with suppress(OSError):
        temporary.write_text(json.dumps({**facts, "time": time.time()}) + "\n", encoding="utf-8")
        temporary.replace(path)
