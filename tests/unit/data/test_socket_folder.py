import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from mmdl.data.batch_loader import BatchLoader
from mmdl.data.socket_folder import MOST


class Numbers(Dataset):
    def __getitem__(self, rows):
        return torch.tensor(rows)


@pytest.mark.parametrize("length", [MOST, MOST + 1, 150])
def test_batches_arrive_whatever_the_length_of_the_folder_for_temporary_files(length, tmp_path, monkeypatch):
    short = Path(tempfile.mkdtemp(dir="/tmp"))
    folder = short / ("x" * (length - len(str(short)) - 1))
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir", raising=False)
    loader = BatchLoader(Numbers(), [np.array([1]), np.array([2])], num_workers=1, worker_timeout_s=8)
    assert [batch[0].item() for batch in loader] == [1, 2]
    assert tempfile.gettempdir() == str(folder)
