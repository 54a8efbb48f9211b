"""CIFAR's files: folder, parent or archive; Python or binary; fetched, damaged, incomplete."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdl.commands.data import main
from mmdl.data import cifar10 as module
from mmdl.data.cifar10 import FORMS, cifar10, write_fixture
from mmdl.data.image_split import ImageSplit
from mmdl.data.sources.cifar import CifarSource
from mmdl.errors import UserError

PYTHON, BINARY = FORMS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The fixture's folder of batches."""
    write_fixture(tmp_path / "cifar10")
    return tmp_path / "cifar10" / PYTHON.folder


def packed(folder: Path, target: Path, top: str = "cifar-10-batches-py") -> bytes:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname=top)
    return target.read_bytes()


def to_binary(folder: Path, target: Path) -> None:
    """The same images as the binary version."""
    target.mkdir(parents=True)
    names = [*PYTHON.batches["train"], *PYTHON.batches["test"]]
    for name in names:
        batch = pickle.loads((folder / name).read_bytes())
        labels = np.array(batch[b"labels"], dtype=np.uint8)[:, None]
        (target / f"{name}.bin").write_bytes(np.concatenate([labels, batch[b"data"]], axis=1).tobytes())
    meta = pickle.loads((folder / "batches.meta").read_bytes())
    (target / "batches.meta.txt").write_bytes(b"\n".join(meta[b"label_names"]) + b"\n\n")


def both(root: Path) -> tuple[ImageSplit, ImageSplit]:
    source = CifarSource("cifar10", FORMS, str(root))
    source.prepare()
    assert source.split("val") is None
    train, test = source.split("train"), source.split("test")
    assert train is not None
    assert test is not None
    return train, test


def same(one: ImageSplit, other: ImageSplit) -> bool:
    return one.fingerprint() == other.fingerprint()


def test_the_real_files(real_data: Path) -> None:
    data = cifar10(root=str(real_data / "cifar10"))
    data.prepare_data()
    data.setup()
    assert {name: len(ids) for name, ids in data.splits().items()} == {
        "train": 4500,
        "val": 500,
        "test": 2000,
    }
    assert data.classes == module.CLASSES
    assert data.facts()["mean"] == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)  # of the official files
    assert data.marks()["data_notes"] == [
        "not the official files: 5,000 train images, officially 50,000",
        "not the official files: 2,000 test images, officially 10,000",
    ]
    theirs = pickle.loads(
        (real_data / "cifar10" / PYTHON.folder / "data_batch_1").read_bytes(), encoding="bytes"
    )
    train = CifarSource("cifar10", FORMS, str(real_data / "cifar10")).split("train")
    assert np.array_equal(train.pixels[:1000].reshape(1000, -1), theirs[b"data"])


def test_the_tables_are_torchvisions() -> None:
    from mmdl.data import cifar100

    datasets = pytest.importorskip("torchvision.datasets")
    for form, theirs in ((PYTHON, datasets.CIFAR10), (cifar100.forms(coarse=False)[0], datasets.CIFAR100)):
        assert (form.folder, form.archive, form.md5) == (theirs.base_folder, theirs.filename, theirs.tgz_md5)
        assert form.batches["train"] == tuple(name for name, _ in theirs.train_list)
        assert form.batches["test"] == tuple(name for name, _ in theirs.test_list)
        assert form.names_file == theirs.meta["filename"]
        assert theirs.url == f"https://www.cs.toronto.edu/~kriz/{form.archive}"


def test_folder_parent_archive_and_binary_give_the_same(folder: Path, tmp_path: Path) -> None:
    wanted = both(folder.parent)
    assert (len(wanted[0]), len(wanted[1])) == (100, 40)
    assert wanted[0].pixels.shape == (100, 3, 32, 32)
    (tmp_path / "packed").mkdir()
    packed(folder, tmp_path / "packed" / PYTHON.archive)
    to_binary(folder, tmp_path / "binary" / BINARY.folder)
    (tmp_path / "packed-binary").mkdir()
    packed(tmp_path / "binary" / BINARY.folder, tmp_path / "packed-binary" / BINARY.archive, BINARY.folder)
    for root in (
        folder,
        tmp_path / "packed",
        tmp_path / "binary",
        tmp_path / "binary" / BINARY.folder,
        tmp_path / "packed-binary",
    ):
        found = both(root)
        assert same(found[0], wanted[0])
        assert same(found[1], wanted[1])
    # an archive of the user's is read where it lies
    assert [path.name for path in (tmp_path / "packed").iterdir()] == [PYTHON.archive]


def test_a_pickle_that_would_run_something(folder: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/ran",)

    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": Attack()}, protocol=2))
    with pytest.raises(UserError, match=r"data_batch_3 is no file of this data set: it names \w+\.system"):
        both(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_batch_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "data_batch_2"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(UserError, match="data_batch_2 is no file of this data set") as caught:
        both(folder)
    assert str(folder) in str(caught.value)


def test_labels_beyond_the_names(folder: Path) -> None:
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"a", b"b"]}, protocol=2))
    with pytest.raises(UserError, match="train holds labels 0 to 9") as caught:
        both(folder)
    assert "2 classes" in caught.value.valid


def test_an_incomplete_folder_is_not_filled_up_from_the_network(folder: Path) -> None:
    (folder / "data_batch_4").unlink()
    (folder / "batches.meta").unlink()
    with pytest.raises(UserError, match=r"has no data_batch_4, batches\.meta"):
        both(folder.parent)


@pytest.fixture
def published(folder: Path, tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that holds the fixture as if it were the official archive."""
    content = packed(folder, tmp_path / "a.tar.gz")
    server.files[f"/~kriz/{PYTHON.archive}"] = content
    form = dataclasses.replace(PYTHON, md5=hashlib.md5(content).hexdigest())
    monkeypatch.setattr(module, "FORMS", (form, BINARY))
    monkeypatch.setattr("mmdl.data.sources.cifar.MIRRORS", (f"{server.url}/~kriz",))
    return server


def test_the_archive_is_fetched_and_unpacked_on_first_use(
    published: Any, folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "new" / "root"
    for _ in range(2):
        data = cifar10(root=str(root))
        data.prepare_data()
    data.setup()
    assert [path for path, *_ in published.log] == [f"/~kriz/{PYTHON.archive}"]
    assert same(both(root)[0], both(folder)[0])
    left = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    assert left == {PYTHON.folder}
    assert {path.name for path in (root / PYTHON.folder).iterdir()} == set(PYTHON.files)


def test_several_processes_fetch_it_once(published: Any, folder: Path, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    root = tmp_path / "root"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: both_of(root), range(4)))
    assert [path for path, *_ in published.log] == [f"/~kriz/{PYTHON.archive}"]
    assert all(same(one, both(folder)[0]) for one in found)


def both_of(root: Path) -> ImageSplit:
    source = cifar10(root=str(root)).source
    source.prepare()
    train = source.split("train")
    assert train is not None
    return train


def test_an_archive_without_its_files_leaves_nothing(published: Any, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as file:
        file.add(__file__, arcname="x/data_batch_1")
    content = (tmp_path / "other.tar.gz").read_bytes()
    published.files[f"/~kriz/{PYTHON.archive}"] = content
    form = dataclasses.replace(PYTHON, md5=hashlib.md5(content).hexdigest())
    with pytest.raises(UserError, match="not in it"):
        CifarSource("cifar10", (form,), str(tmp_path / "root"), (f"{published.url}/~kriz",)).prepare()
    assert not (tmp_path / "root" / PYTHON.folder).exists()


def test_a_cut_download_continues(published: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmdl.data.download.BLOCK", 1000)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    published.cut = [20_000]
    published.status = [200, *[503] * 20]
    with pytest.raises(UserError, match="HTTP 503"):
        cifar10(root=str(tmp_path / "root")).prepare_data()
    published.status = []
    cifar10(root=str(tmp_path / "root")).prepare_data()
    assert published.log[-1] == (f"/~kriz/{PYTHON.archive}", "bytes=20000-", 206)


def test_prepare(published: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["prepare", "cifar10", "--root", str(tmp_path / "root")])
    shown = capsys.readouterr().out
    assert '{"train": 100, "test": 40}' in shown
    assert "officially 50,000" in shown


def test_names_inside_the_archive_choose_no_place(folder: Path, tmp_path: Path) -> None:
    """A downloaded archive is unpacked under the known names only."""
    archive = tmp_path / PYTHON.archive
    with tarfile.open(archive, "w:gz") as file:
        evil = tarfile.TarInfo("../../evil")
        evil.size = 4
        file.addfile(evil, io.BytesIO(b"evil"))
        for path in folder.iterdir():
            file.add(path, arcname=f"../../../{path.name}")
    root = tmp_path / "root"
    root.mkdir()
    source = CifarSource("cifar10", FORMS, str(root))
    source._unpack(PYTHON, Path(shutil.copy(archive, root / PYTHON.archive)))
    assert {path.name for path in (root / PYTHON.folder).iterdir()} == set(PYTHON.files)
    assert not list(tmp_path.rglob("evil"))
