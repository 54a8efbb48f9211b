"""MNIST's files: where they are found, how they are fetched, what is refused."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdl.commands.data import main
from mmdl.data import mnist as module
from mmdl.data.mnist import MNIST, mnist, write_fixture
from mmdl.data.readers.idx import read_idx, write_idx
from mmdl.data.sources.idx_images import NAMES, IdxSource
from mmdl.errors import UserError

FILES = [name for pair in NAMES.values() for name in pair]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_fixture(tmp_path / "mnist")
    return tmp_path / "mnist"


def test_the_real_files(real_data: Path) -> None:
    data = mnist(root=str(real_data / "mnist"))
    data.prepare_data()
    data.setup()
    assert {name: len(ids) for name, ids in data.splits().items()} == {
        "train": 54_000,
        "val": 6_000,
        "test": 10_000,
    }
    assert data.facts() == {
        "num_classes": 10,
        "channels": 1,
        "image_size": 28,
        "mean": [0.1307],  # as published everywhere
        "std": [pytest.approx(0.3081, abs=2e-4)],
    }
    counts = np.bincount(data.dataset("test").split.labels)
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.marks()["data_notes"] == []
    for file in FILES:
        md5 = hashlib.md5((real_data / "mnist" / f"{file}.gz").read_bytes()).hexdigest()
        assert md5 == MNIST.md5[f"{file}.gz"]


def test_the_tables_are_torchvisions() -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    from mmdl.data.fashion_mnist import FASHION_MNIST

    for ours, theirs in ((MNIST, datasets.MNIST), (FASHION_MNIST, datasets.FashionMNIST)):
        assert dict(theirs.resources) == ours.md5
        assert {url.rstrip("/") for url in theirs.mirrors} <= set(ours.mirrors)
    assert tuple(datasets.FashionMNIST.classes) == FASHION_MNIST.classes


@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_the_files_are_found_where_others_put_them(
    files: Path, tmp_path: Path, place: str, packed: bool
) -> None:
    root = tmp_path / "root"
    (root / place).mkdir(parents=True)
    for name in FILES:
        if packed:
            shutil.copy(files / f"{name}.gz", root / place)
        else:
            (root / place / name).write_bytes(gzip.decompress((files / f"{name}.gz").read_bytes()))
    source = IdxSource(MNIST, str(root))
    source.prepare()
    train, test = source.split("train"), source.split("test")
    assert (len(train), len(test)) == (120, 40)
    assert train.pixels.shape == (120, 1, 28, 28)
    assert train.labels.dtype == np.int64
    assert source.split("val") is None
    assert train.notes == ("not the official files: 120 train images, officially 60,000",)
    assert not set(train.ids) & set(test.ids)


def test_files_that_do_not_belong_together(files: Path) -> None:
    images = files / "train-images-idx3-ubyte.gz"
    write_idx(images, read_idx(images)[:-1])
    with pytest.raises(UserError, match=r"don't belong together: shapes \(119, 28, 28\) and \(120,\)"):
        IdxSource(MNIST, str(files)).split("train")
    shutil.copy(files / "train-labels-idx1-ubyte.gz", images)
    with pytest.raises(UserError, match="don't belong together"):
        IdxSource(MNIST, str(files)).split("train")


def test_labels_that_are_no_classes(files: Path) -> None:
    write_idx(files / "t10k-labels-idx1-ubyte.gz", np.full(40, 10, dtype=np.uint8))
    with pytest.raises(UserError, match="holds a label 10") as caught:
        IdxSource(MNIST, str(files)).split("test")
    assert "0 to 9" in caught.value.valid


@pytest.fixture
def published(files: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that holds the fixture as if it were the official files."""
    md5 = {}
    for name in FILES:
        content = (files / f"{name}.gz").read_bytes()
        server.files[f"/mirror/{name}.gz"] = content
        md5[f"{name}.gz"] = hashlib.md5(content).hexdigest()
    mirrors = (f"{server.url}/gone", f"{server.url}/mirror")
    monkeypatch.setattr(module, "MNIST", dataclasses.replace(MNIST, mirrors=mirrors, md5=md5))
    return server


def test_missing_files_are_fetched_on_first_use(published: Any, files: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    own = root / "train-labels-idx1-ubyte.gz"  # what is there is taken, whatever its checksum
    shutil.copy(files / own.name, own)
    own.write_bytes(gzip.compress(gzip.decompress(own.read_bytes()), compresslevel=1))
    data = mnist(root=str(root))
    data.prepare_data()
    data.setup()
    assert len(data.dataset("test")) == 40
    asked = [path for path, _, status in published.log if status == 200]
    assert sorted(asked) == sorted(
        f"/mirror/{name}.gz" for name in FILES if name != own.name.removesuffix(".gz")
    )
    mnist(root=str(root)).prepare_data()
    assert len([1 for *_, status in published.log if status == 200]) == 3


def test_prepare_fetches_and_reads(
    published: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["prepare", "mnist", "--root", str(tmp_path / "root")])
    shown = capsys.readouterr().out
    assert f'{tmp_path}/root: {{"train": 120, "test": 40}}' in shown
    assert "not the official files: 120 train images" in shown
    assert f"ready: python -m mmdl train +experiment=mnist data.root={tmp_path}/root" in shown


def test_prepare_takes_a_mirror(published: Any, tmp_path: Path) -> None:
    main(["prepare", "mnist", "--root", str(tmp_path / "root"), "--url", f"{published.url}/mirror"])
    assert {path.split("/")[1] for path, *_ in published.log} == {"mirror"}


def test_a_wrong_download_is_not_kept(published: Any, tmp_path: Path) -> None:
    published.files["/mirror/train-images-idx3-ubyte.gz"] = b"<html>not found</html>"
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is not the expected file: md5"):
        mnist(root=str(tmp_path / "root")).prepare_data()
    assert not list((tmp_path / "root").glob("train-images*"))
