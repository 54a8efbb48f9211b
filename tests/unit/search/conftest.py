"""An encoder without a model: what it gives depends on the content of a file only."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from mmdl.data.bad_images import BadSamples
from mmdl.search.encoding import Encoded
from mmdl.search.settings import Settings

DIM = 16


def embedding(path):
    seed = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def encode():
    """Batches of three; files that begin with `bad` are bad. `encode.seen` has the names that were encoded."""

    def run(paths):
        for start in range(0, len(paths), 3):
            part = paths[start : start + 3]
            good = [n for n, path in enumerate(part) if not path.read_bytes().startswith(b"bad")]
            found = np.array([embedding(part[n]) for n in good], np.float32).reshape(-1, DIM)
            bad = [BadSamples("unreadable", str(p)) for n, p in enumerate(part) if n not in good]
            run.seen += [path.name for path in part]
            yield Encoded([start + n for n in good], found, bad)

    run.seen = []
    return run


@pytest.fixture
def made_by():
    return {
        "run": "one",
        "run_path": "/runs/one",
        "weights": "f" * 64,
        "weights_file": "/runs/one/checkpoints/best.ckpt",
        "model": "a.Model",
        "image_size": 64,
        "resize": "squash",
    }


@pytest.fixture
def place(tmp_path, made_by):
    """A folder of ten files that stand for images, and settings."""
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for number in range(10):
        folder = images / "deep" if number % 2 else images
        (folder / f"{number}.png").write_bytes(f"image {number}".encode())
    return SimpleNamespace(images=images, folder=tmp_path / "index", settings=Settings(made_by))
