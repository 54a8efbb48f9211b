"""What srun or torchrun has started, as their variables tell it, against what the trainer counts."""

import os

import pytest

from mmdl.assembly import cluster_plugins
from mmdl.clusters.launch import check_launch
from mmdl.errors import UserError

STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "vqa", "SLURM_PROCID": "0"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x"}
OURS = ("SLURM_", "TORCHELASTIC_", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK")


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "0")  # which the code sets: put back at the end

    def put(**variables):
        for name in [name for name in os.environ if name.startswith(OURS)]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def trainer(nodes, devices):
    return {"num_nodes": nodes, "devices": devices, "accelerator": "cpu"}


def step(tasks_per_node, count):
    return STEP | {"SLURM_STEP_TASKS_PER_NODE": tasks_per_node, "SLURM_NTASKS": str(count)}


@pytest.mark.parametrize(
    ("variables", "nodes", "devices"),
    [
        ({}, 1, 4),
        (step("4(x2)", 8), 2, 4),
        (step("1", 1), 1, 1),
        (step("1", 1), 1, "auto"),
        (step("2", 2), 1, [0, 1]),
        (TORCHRUN | {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 2, 4),
        (step("1(x2)", 2) | TORCHRUN | {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 2, 4),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, 1, 4),
        (step("1", 1) | {"SLURM_JOB_NAME": "bash"}, 1, 4),
    ],
)
def test_ranks_that_fit(environment, variables, nodes, devices):
    environment(**variables)
    check_launch(trainer(nodes, devices))


@pytest.mark.parametrize(
    ("variables", "nodes", "devices", "match", "fix"),
    [
        (step("4(x2)", 8), 2, 2, "srun has started 4 tasks", "trainer.num_nodes=2 trainer.devices=4"),
        (step("1(x2)", 2), 1, 1, "on each of 2 nodes", "trainer.num_nodes=2 trainer.devices=1"),
        (step("1", 1), 1, 4, "trainer.devices=4", "trainer.num_nodes=1 trainer.devices=1"),
        (step("2,1", 3), 2, 2, "2, 1 tasks on the 2 nodes", "--ntasks-per-node=2 in place of --ntasks"),
        (
            TORCHRUN | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
            *(1, 1, "torchrun has started 2 tasks", "trainer.num_nodes=1 trainer.devices=2"),
        ),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}, 2, 1, "nothing has started", "srun python"),
        ({}, 2, 1, "nothing has started", "trainer.num_nodes=1"),
    ],
)
def test_ranks_that_would_wait(environment, variables, nodes, devices, match, fix):
    environment(**variables)
    with pytest.raises(UserError, match=match) as refused:
        check_launch(trainer(nodes, devices))
    assert fix in refused.value.fix


def test_a_task_must_see_the_gpus_of_its_node(environment, monkeypatch):
    environment(**step("4", 4))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="sees 1 of the 4 GPUs"):
        check_launch(trainer(1, 4) | {"accelerator": "gpu"})


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, None),
        (step("2(x2)", 4), "SLURMEnvironment"),
        (step("2", 2) | {"SLURM_NTASKS_PER_NODE": "4"}, "SLURMEnvironment"),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, "LightningEnvironment"),
        (step("1", 1) | {"SLURM_JOB_NAME": "bash"}, "LightningEnvironment"),
        (step("1(x2)", 2) | TORCHRUN, None),
    ],
)
def test_lightnings_view(environment, variables, name):
    """What Lightning makes of Slurm's variables by itself waits for ranks, or refuses them."""
    environment(**variables)
    found = [type(plugin).__name__ for plugin in cluster_plugins()]
    assert found == ([name] if name else [])
