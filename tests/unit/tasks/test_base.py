from types import SimpleNamespace

import torch

from mmdl.models.image_tower.small_cnn import SmallCNN
from mmdl.tasks.base import Task


def test_outputs_of_another_kind_are_ordered_by_rows_of_their_own(monkeypatch):
    task = Task(SmallCNN((4,)), None, None)
    monkeypatch.setattr(Task, "trainer", SimpleNamespace(world_size=1))
    task._collected = [
        {
            "rows": torch.tensor([2, 3]),
            "embeddings": torch.tensor([20.0, 30.0]),
            "captions/rows": torch.tensor([7, 5, 6]),
            "captions/embeddings": torch.tensor([0.7, 0.5, 0.6]),
        },
        {
            "rows": torch.tensor([1]),
            "embeddings": torch.tensor([10.0]),
            "captions/rows": torch.tensor([4]),
            "captions/embeddings": torch.tensor([0.4]),
        },
    ]
    task._eval_loss = []
    outputs, _, count = task._gathered()
    assert count == 0
    assert outputs["rows"].tolist() == [1, 2, 3]
    assert outputs["embeddings"].tolist() == [10.0, 20.0, 30.0]
    assert outputs["captions/rows"].tolist() == [4, 5, 6, 7]
    torch.testing.assert_close(
        torch.from_numpy(outputs["captions/embeddings"]), torch.tensor([0.4, 0.5, 0.6, 0.7])
    )
