"""How far a training is, in a small file that a list of runs reads in place of `metrics.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmdl.runs.files import TEMPORARY


def write_progress(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace the file; it need not survive a power cut, and a full disk does not end the run here.

    Args:
        path: `progress.json` of the run folder.
        facts: `step`, `total_steps`, `epoch`, `max_epochs`, `time` (seconds since 1970), `samples_per_s`.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with suppress(OSError):
        temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        temporary.replace(path)
