"""A sharded model learns what an unsharded one does on the same ranks, in float64: every model, 2 and 3 ranks."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

QUICK = ("cnn", "vqa cross_attention", "clip", "clip micro-batches")
SLOW = (
    *("resnet9", "resnet18", "airbench", "timm", "towers", "towers micro-batches", "towers siglip"),
    *("vqa film", "vqa hadamard", "vqa concat_mlp", "clip frozen", "clip resnet"),
)
STEPS = 3


def images(rng, count, channels=3, size=32):
    return torch.randint(0, 256, (count, channels, size, size), generator=rng, dtype=torch.uint8)


def texts(rng, count, length=6, ids=20):
    mask = torch.arange(length) < torch.randint(1, length + 1, (count, 1), generator=rng)
    return torch.randint(1, ids, (count, length), generator=rng) * mask, mask


def image_batch(rng, channels=3, size=32):
    return {
        "rows": torch.arange(6),
        "images": images(rng, 6, channels, size),
        "labels": torch.randint(0, 5, (6,), generator=rng),
    }


def text_batch(rng, size=16, length=6, first=0):
    tokens, mask = texts(rng, 7, length)
    index = torch.tensor([0, 0, 1, 2, 2, 3, 3])
    return {
        "rows": torch.arange(4),
        "image_ids": torch.arange(4) + first,
        "caption_rows": torch.arange(7),
        "image_index": index,
        "images": images(rng, 4, size=size),
        "tokens": tokens,
        "token_mask": mask,
    }


def question_batch(rng):
    tokens, mask = texts(rng, 5)
    return {
        "rows": torch.arange(5),
        "image_index": torch.tensor([0, 0, 1, 2, 2]),
        "images": images(rng, 3, size=16),
        "tokens": tokens,
        "token_mask": mask,
        "targets": torch.rand(5, 4, generator=rng),
    }


def classifier(name):
    from mmdl.models.airbench import Airbench
    from mmdl.models.cnn import CNN
    from mmdl.models.resnet import ResNet
    from mmdl.models.timm import TimmClassifier

    return {
        "cnn": lambda: CNN(3, 32, 5),
        "resnet9": lambda: ResNet(3, 5, 9, 4),
        "resnet18": lambda: ResNet(3, 5, 18, 4),
        "airbench": lambda: Airbench(3, 32, 5, (4, 6, 8)),
        "timm": lambda: TimmClassifier("test_vit", 3, 32, 5),
    }[name]()


def vqa(fusion):
    import importlib

    from mmdl.models.image_tower.small_cnn import SmallCNN
    from mmdl.models.question_tower.gru import GRU
    from mmdl.models.vqa import VQAModel

    module = importlib.import_module(f"mmdl.models.fusion.{fusion}")
    names = {"film": "FiLM", "hadamard": "Hadamard", "concat_mlp": "ConcatMLP"}
    factory = getattr(module, names.get(fusion, "CrossAttention"))
    return VQAModel(SmallCNN((4, 6)), GRU(20, 5, 8), partial(factory), 4, 8)


def make(name, rank):
    """A task in float64 and this rank's batch."""
    from mmdl.models.clip import CLIP
    from mmdl.models.clip_towers import CLIPTowers
    from mmdl.models.image_tower.small_cnn import SmallCNN
    from mmdl.models.question_tower.gru import GRU
    from mmdl.tasks.classification import ClassificationTask
    from mmdl.tasks.contrastive import ContrastiveTask
    from mmdl.tasks.vqa import VQATask

    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(rank)
    kind, _, rest = name.partition(" ")
    micro = 2 if rest == "micro-batches" else None
    if kind == "vqa":
        return VQATask(vqa(rest), None, None).double(), question_batch(rng)
    if kind == "towers":
        bias = -4.0 if rest == "siglip" else None
        model = CLIPTowers(SmallCNN((4, 6)), GRU(20, 5, 8), embed_dim=5, init_bias=bias)
        loss = "siglip" if rest == "siglip" else "infonce"
        task = ContrastiveTask(model, None, None, loss=loss, micro_batch=micro)
        return task.double(), text_batch(rng, first=10 * rank)
    if kind == "clip":
        architecture = "resnet_tiny_64" if rest == "resnet" else "vit_tiny_64"
        model = CLIP(architecture, context_length=6, vocab_size=20)
        freeze = ("image_tower.stem", "text_tower.*.0") if rest == "frozen" else ()
        task = ContrastiveTask(model, None, None, micro_batch=micro, freeze=freeze)
        return task.double(), text_batch(rng, size=64, first=10 * rank)
    return ClassificationTask(classifier(kind), None, None).double(), image_batch(rng)


def step(task, optimizer, batch, world_size, reduced):
    """One step; returns the loss and the norm of the gradient."""
    from mmdl.optim.norms import clip_norm

    optimizer.zero_grad()
    loss = task.losses(batch)["loss"]
    loss.backward()
    for parameter in reduced:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= world_size
    norm = clip_norm(task.model.parameters(), 0.1)
    optimizer.step()
    return float(loss.detach()), float(norm)


def evaluate_on_one_rank(task, batch, rank):
    """Forwards that no other rank takes part in, after which training goes on."""
    from mmdl.models.layers.eval_mode import eval_mode
    from mmdl.strategies.sharding import gather_weights, release_weights

    before = [p.grad for p in task.model.parameters()]
    gather_weights(task.model)
    assert not any(hasattr(p, "to_local") for p in task.model.parameters())
    with torch.no_grad(), eval_mode(task):
        for _ in range(2 * (rank == 0)):
            task.evaluate_batch(batch)
    release_weights(task.model, reshard_after_forward=True)
    assert all(p.grad is grad for p, grad in zip(task.model.parameters(), before, strict=True))


def compare(name, rank, world_size):
    """Figures of each step, and the weights after them, of both."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy

    from mmdl.optim.groups import parameter_groups
    from mmdl.optim.norms import whole
    from mmdl.strategies.sharding import replicated, shard_model

    plain, batch = make(name, rank)
    sharded = copy.deepcopy(plain)
    if rank:  # as if it had been made with another seed: the first rank's weights count
        for parameter in sharded.parameters():
            parameter.data.add_(1)
    mesh = init_device_mesh("cpu", (world_size, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    shard_model(sharded.model, mesh["data_parallel"], MixedPrecisionPolicy())
    found = {}
    for kind, task in (("plain", plain), ("sharded", sharded)):
        groups = parameter_groups(task.model, 1e-2, 1e-2, layer_decay=0.9)
        optimizer = torch.optim.SGD(groups, lr=1e-2, momentum=0.9)
        task.train()
        torch.manual_seed(1)  # dropout
        reduced = list(plain.model.parameters()) if kind == "plain" else list(replicated(sharded.model))
        figures = []
        for _ in range(STEPS):
            figures.append(step(task, optimizer, batch, world_size, reduced))
            if kind == "sharded":
                own = sum(p.to_local().numel() for p in task.model.parameters() if hasattr(p, "to_local"))
                found["share"] = own / sum(p.numel() for p in task.model.parameters())
                evaluate_on_one_rank(task, batch, rank)
        weights = {n: whole(p.detach()) for n, p in task.model.named_parameters()}
        found[kind] = (figures, weights)
    return found


def work(rank, world_size, folder, names):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=world_size
    )
    found = {}
    for name in names:
        try:
            found[name] = compare(name, rank, world_size)
        except Exception as error:
            raise RuntimeError(name) from error
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def run_ranks(folder, count, names):
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(count), str(folder), *names],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return run_ranks(tmp_path_factory.mktemp("two"), 2, QUICK)


@pytest.fixture(scope="module")
def two_more(tmp_path_factory):
    return run_ranks(tmp_path_factory.mktemp("more"), 2, SLOW)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return run_ranks(tmp_path_factory.mktemp("three"), 3, (*QUICK, *SLOW))


def check(ranks, name):
    for found in ranks:
        (figures, weights), (expected_figures, expected) = found[name]["sharded"], found[name]["plain"]
        for own, other in zip(figures, expected_figures, strict=True):
            assert own == pytest.approx(other, rel=1e-6)
        assert weights.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(weights[key], value, rtol=1e-7, atol=1e-9, msg=f"{name}: {key}")
        assert found[name]["share"] < 1 / len(ranks) + 0.2, "the weights are not spread"
    losses = [loss for loss, _ in ranks[0][name]["plain"][0]]
    assert len(set(losses)) == STEPS, "nothing is learned"


@pytest.mark.parametrize("name", QUICK)
def test_two_ranks_learn_the_same_as_without_shards(two, name):
    check(two, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_two_ranks_with_every_other_model(two_more, name):
    check(two_more, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_three_ranks_have_shards_of_uneven_size(three, name):
    check(three, name)


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
