import pytest
import torch

from mmdl.assembly import num_ranks


@pytest.mark.parametrize(
    ("devices", "nodes", "ranks"),
    [
        (1, 1, 1),
        ("1", 1, 1),
        (2, 1, 2),
        ("2", 1, 2),
        (1, 2, 2),
        (4, 2, 8),
        (1, None, 1),
        ([0], 1, 1),
        ([3, 5], 1, 2),
        ("0,", 1, 1),
        ("0,1", 1, 2),
        ("[0, 1]", 1, 2),
        ("many", 1, 1),
    ],
)
def test_ranks_are_devices_of_all_nodes(devices, nodes, ranks):
    assert num_ranks({"devices": devices, "num_nodes": nodes, "accelerator": "cpu"}) == ranks


@pytest.mark.parametrize("devices", ["auto", -1, "-1"])
@pytest.mark.parametrize(("accelerator", "ranks"), [("auto", 4), ("cuda", 4), ("cpu", 1)])
def test_all_devices_of_the_machine(monkeypatch, devices, accelerator, ranks):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert num_ranks({"devices": devices, "num_nodes": 1, "accelerator": accelerator}) == ranks
