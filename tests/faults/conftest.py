"""`results` reads what must not depend on the faults; `launch` is in the conftest.py of all tests."""

import json

import pytest
from safetensors.torch import load_file


def read_results(run):
    """Weights, figures of each validation, and summary of a run folder: all that must not depend on a fault."""
    weights = {
        f"{kind}/{name}": value
        for kind in ("final", "best")
        for name, value in load_file(run / "checkpoints" / f"{kind}.safetensors").items()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = [
        {k: v for k, v in row.items() if k != "time"}
        for row in rows
        if any(k.startswith("val/") for k in row)
    ]
    summary = json.loads((run / "summary.json").read_text())
    return weights, figures, {name: value for name, value in summary.items() if not name.startswith("time/")}


@pytest.fixture(scope="session")
def results():
    return read_results
