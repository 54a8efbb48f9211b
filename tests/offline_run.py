"""Reads an offline run of W&B back with W&B's own tool, for tests."""

import json
import os
import subprocess
import sys
from pathlib import Path


class OfflineRun:
    """The records of one `.wandb` file."""

    def __init__(self, path):
        self.path = Path(path)
        tools = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        done = subprocess.run(
            ["wandb", "leet", "inspect", "--json", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=os.environ | {"PATH": tools},
        )
        assert done.returncode == 0, done.stderr
        self.text = done.stdout
        self.records = [json.loads(line) for line in done.stdout.splitlines()]

    def of(self, kind):
        """The content of all records of one type."""
        return [record[kind] for record in self.records if record["type"] == kind]

    @property
    def rows(self):
        """Rows of the history, without W&B's own names and without media."""
        found = []
        for history in self.of("history"):
            row = {}
            for name, value in history["item"].items():
                is_own = name.startswith("_") or "._" in name or "." in name.rsplit("/", 1)[-1]
                number = float(value) if value in ("NaN", "Infinity", "-Infinity") else value
                if not is_own and isinstance(number, int | float):
                    row[name] = float(number)
            if row.keys() - {"trainer/global_step"}:
                found.append(row)
        return found

    @property
    def summary(self):
        """What the summary says in the end."""
        found = {}
        for summary in self.of("summary"):
            found |= summary.get("update", {})
        return found

    @property
    def names(self):
        """Names of all scalars, tables and pictures."""
        scalars = {name for row in self.rows for name in row} | set(self.summary)
        media = {name.rpartition(".")[0] for name in self.summary if name.endswith("._type")}
        return scalars | media | {name.removesuffix("_table") for name in media}

    @property
    def run(self):
        return self.of("run")[0]

    @property
    def defined(self):
        """Name or pattern -> what `define_metric` said."""
        return {m.get("name") or m["glob_name"]: m for m in self.of("metric")}

    @property
    def artifacts(self):
        return {artifact["name"]: artifact for artifact in self.of("artifact")}
