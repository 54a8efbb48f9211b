"""Fashion-MNIST: the files of MNIST with other classes."""

from __future__ import annotations

from pathlib import Path

from mmdl.data.fashion_mnist import FASHION_MNIST, fashion_mnist, write_fixture


def test_classes_and_files(tmp_path: Path) -> None:
    write_fixture(tmp_path / "FashionMNIST/raw")
    data = fashion_mnist(root=str(tmp_path))
    data.prepare_data()
    data.setup()
    assert data.classes == FASHION_MNIST.classes
    assert data.classes[9] == "Ankle boot"
    assert len(data.dataset("test")) == 40
