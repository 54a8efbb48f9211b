"""The gradient of the contrastive task on W ranks is that of one process on the joined batch, in float64."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CASES = list(itertools.product(("infonce", "siglip"), (None, 3), (None, 1)))
"""Loss, tile, micro-batch."""
CUTS = {2: [0, 2, 7], 3: [0, 1, 4, 7]}
"""Which of the seven images each rank has: uneven numbers of images and of captions."""
CAPTIONS = (2, 5, 1, 3, 2, 6, 1)


def joined_batch():
    """Seven images with one to six captions; images 0, 3 and 6 are equal and lie on different ranks."""
    rng = torch.Generator().manual_seed(1)
    index = torch.repeat_interleave(torch.arange(7), torch.tensor(CAPTIONS))
    mask = torch.arange(6) < torch.randint(1, 7, (len(index),), generator=rng)[:, None]
    return {
        "rows": torch.arange(7),
        "image_ids": torch.tensor([40, 11, 12, 40, 14, 15, 40]),
        "caption_rows": torch.arange(len(index)),
        "image_index": index,
        "images": torch.randint(0, 256, (7, 3, 16, 16), generator=rng, dtype=torch.uint8),
        "tokens": torch.randint(1, 20, mask.shape, generator=rng) * mask,
        "token_mask": mask,
    }


def part_of(batch, first, last):
    """The images `first` to `last - 1` with their captions, as a batch of its own."""
    own = (batch["image_index"] >= first) & (batch["image_index"] < last)
    part = {name: batch[name][first:last] for name in ("rows", "image_ids", "images")}
    part |= {name: batch[name][own] for name in ("caption_rows", "tokens", "token_mask")}
    return part | {"image_index": batch["image_index"][own] - first}


def make_task(loss, tile, micro_batch):
    from mmdl.models.clip_towers import CLIPTowers
    from mmdl.models.image_tower.small_cnn import SmallCNN
    from mmdl.models.question_tower.gru import GRU
    from mmdl.tasks.contrastive import ContrastiveTask

    torch.manual_seed(0)
    model = CLIPTowers(
        SmallCNN((4, 6)), GRU(20, 5, 7), embed_dim=5, init_bias=-4.0 if loss == "siglip" else None
    )
    return ContrastiveTask(model, None, None, loss=loss, tile=tile, micro_batch=micro_batch).double()


class Losses(torch.nn.Module):
    """What DDP wraps: its forward is the task's loss."""

    def __init__(self, task):
        super().__init__()
        self.task = task

    def forward(self, batch):
        return self.task.losses(batch)["loss"]


def gradients(task):
    return {name: p.grad.clone() for name, p in task.model.named_parameters()}


def sizes_with_a_group_for_the_host(rank):
    """What ranks tell each other where the backend of the run takes tensors of accelerators only."""
    from unittest import mock

    from mmdl.losses import gathering

    gathering._host_group.cache_clear()
    with mock.patch.object(torch.distributed, "get_backend_config", return_value="cuda:nccl"):
        group = gathering._host_group(torch.distributed.group.WORLD)
        assert group is gathering._host_group(torch.distributed.group.WORLD)
        assert group is not torch.distributed.group.WORLD
        return gathering._sizes(rank + 1, 10 * rank + 1)


def work(rank, world_size, folder):
    """One rank: value and averaged gradient of every case."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=world_size
    )
    batch = part_of(joined_batch(), *CUTS[world_size][rank : rank + 2])
    found = {}
    for case in CASES:
        task = make_task(*case)
        wrapped = torch.nn.parallel.DistributedDataParallel(Losses(task))
        for _ in range(2):  # DDP finds in the second step what was not reduced in the first
            task.model.zero_grad()
            loss = wrapped(batch)
            loss.backward()
        found[case] = (loss.detach(), gradients(task), task.joined_size)
    found["host"] = sizes_with_a_group_for_the_host(rank)
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module", params=[2, 3])
def ranks(request, tmp_path_factory):
    """What each rank found."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(request.param), str(folder)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(request.param)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_one_process_on_the_joined_batch(ranks, case):
    task = make_task(case[0], None, None)
    loss = task.losses(joined_batch())["loss"]
    loss.backward()
    expected = gradients(task)
    assert {"logit_scale"} <= expected.keys()
    assert ("logit_bias" in expected) == (case[0] == "siglip")
    for _, found, size in (rank[case] for rank in ranks):
        assert size == task.joined_size == (7, sum(CAPTIONS))
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.abs().max() > 1e-6, name
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12, msg=name)
    own = torch.stack([rank[case][0] for rank in ranks])
    torch.testing.assert_close(own.mean(), loss.detach(), rtol=0, atol=1e-12)
    assert not torch.allclose(own[0], own[-1]), "the ranks hold different rows"


def test_sizes_go_over_the_host_where_the_backend_is_for_accelerators(ranks):
    for rank in ranks:
        assert rank["host"] == [(r + 1, 10 * r + 1) for r in range(len(ranks))]


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
