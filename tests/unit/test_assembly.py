import pytest
import torch

from mmdl.assembly import many_ranks


@pytest.mark.parametrize(
    ("devices", "nodes", "many"),
    [
        (1, 1, False),
        ("1", 1, False),
        (2, 1, True),
        ("2", 1, True),
        (1, 2, True),
        (1, None, False),
        ([0], 1, False),
        ([3, 5], 1, True),
        ("0,", 1, False),
        ("0,1", 1, True),
        ("[0, 1]", 1, True),
        ("many", 1, False),
    ],
)
def test_more_than_one_rank(devices, nodes, many):
    assert many_ranks({"devices": devices, "num_nodes": nodes, "accelerator": "cpu"}) is many


@pytest.mark.parametrize("devices", ["auto", -1, "-1"])
@pytest.mark.parametrize(("accelerator", "many"), [("auto", True), ("cuda", True), ("cpu", False)])
def test_all_devices_of_the_machine(monkeypatch, devices, accelerator, many):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert many_ranks({"devices": devices, "num_nodes": 1, "accelerator": accelerator}) is many
