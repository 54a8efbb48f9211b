"""CIFAR-100: classes and superclasses, in both forms."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mmdl.data.cifar100 import cifar100, forms, write_fixture
from mmdl.data.sources.cifar import CifarSource


@pytest.mark.parametrize("coarse", [False, True])
def test_classes_and_superclasses_in_both_forms(tmp_path: Path, coarse: bool) -> None:
    python, binary = forms(coarse)
    root = write_fixture(tmp_path / "py")["data.root"]
    target = tmp_path / "bin" / binary.folder
    target.mkdir(parents=True)
    for split in ("train", "test"):
        batch = pickle.loads((Path(root) / python.folder / split).read_bytes())
        labels = np.stack([batch[b"coarse_labels"], batch[b"fine_labels"]], axis=1).astype(np.uint8)
        rows = np.concatenate([labels, batch[b"data"]], axis=1)
        (target / f"{split}.bin").write_bytes(rows.tobytes())
    meta = pickle.loads((Path(root) / python.folder / "meta").read_bytes())
    for kind in ("fine", "coarse"):
        names = meta[f"{kind}_label_names".encode()]
        (target / f"{kind}_label_names.txt").write_bytes(b"\n".join(names) + b"\n")
    found = [CifarSource("cifar100", forms(coarse), str(place)) for place in (root, tmp_path / "bin")]
    for split in ("train", "test"):
        one, other = (source.split(split) for source in found)
        assert one.fingerprint() == other.fingerprint()
        assert len(one.classes) == (20 if coarse else 100)
        assert one.labels.max() == len(one.classes) - 1
    data = cifar100(root=root, coarse=coarse)
    data.prepare_data()
    data.setup()
    assert data.num_classes == (20 if coarse else 100)
    assert data.classes[3] == ("coarse 3" if coarse else "fine 3")


def test_the_superclass_is_that_of_the_class(tmp_path: Path) -> None:
    root = write_fixture(tmp_path)["data.root"]
    fine, coarse = (
        CifarSource("cifar100", forms(kind), root).split("train").labels for kind in (False, True)
    )
    assert np.array_equal(coarse, fine // 5)  # as the fixture is made
