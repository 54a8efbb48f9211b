"""A training epoch on MNIST at batch 512: mmdl, a hand-written PyTorch loop, and the usual Lightning set-up.

    python benchmarks/mnist_epoch.py [rounds] [folder with the MNIST files] [--plain] [KEY=VALUE ...]

All arms train the same network on the same 57,000 images with the same optimizer, schedule, precision and kind of
augmentation (`--plain`: none), in one process, in turns: `+experiment=mnist` with 8, 16 and 32 channels, or what
KEY=VALUE makes of it (model.channels=[16,32,64] is the experiment's own network, of which the arms share more). mmdl
runs as `train` does, with its default callbacks and loggers (metrics.jsonl and W&B, offline). The loop indexes uint8
tensors, augments by the batch and has no logging at all. The usual set-up is a `Dataset` of PIL images with
`RandomAffine`, `ToTensor` and `Normalize` per sample, a `DataLoader` with two workers, and `self.log` in every step.

Each arm trains two epochs and the second counts, its training part: no start, validation, checkpoint or test. The
figures to quote are the ratios of medians over the rounds; a first round is for warming up.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mmdl import assembly
from mmdl.assembly import build_data, build_task
from mmdl.cli.app import compose
from mmdl.commands import train
from mmdl.data.augment.base import augmented
from mmdl.data.image_dataset import ResidentPixels
from mmdl.data.sampler import grouped_order
from mmdl.runs.hardware import resolve_precision

BATCH = 512
PLAIN = "--plain" in sys.argv
CHANGES = [word for word in sys.argv[1:] if "=" in word]
BILINEAR = transforms.InterpolationMode.BILINEAR


class Clock(pl.Callback):
    """Seconds from the start of the last epoch to the end of its last batch."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self._began


def overrides(root: str | None) -> list[str]:
    """The run that all arms do."""
    found = [
        "+experiment=mnist",
        f"data.batch_size={BATCH}",
        "trainer.max_epochs=2",
        "callbacks=[default]",
        "model.channels=[8,16,32]",
        *CHANGES,
    ]
    found += ["augment@data.augment=[]"] if PLAIN else []
    return found + ([f"data.root={root}"] if root else [])


def mmdl_epoch(root: str | None) -> float:
    """The second epoch of `mmdl train`."""
    clock = Clock()
    plain = assembly.build_trainer

    def with_clock(cfg: Any, callbacks: Any = None, loggers: Any = None) -> pl.Trainer:
        return plain(cfg, [*(callbacks or []), clock], loggers)

    with tempfile.TemporaryDirectory() as folder:
        cfg = compose("train", [*overrides(root), f"run.root={folder}", "trainer.limit_val_batches=1"])
        cfg.trainer.limit_test_batches = 1
        train.build_trainer = with_clock
        os.environ.pop("MMDL_RUN_ID", None)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                train.main(cfg)
        finally:
            train.build_trainer = plain
    return clock.seconds


def prepared(root: str | None) -> tuple[Any, Any, Any, str]:
    """Configuration, data, task and precision, as `train` makes them."""
    cfg = compose("train", overrides(root)).copy()
    torch.manual_seed(0)
    data = build_data(cfg)
    return cfg, data, build_task(cfg), resolve_precision("auto", "cpu")


def loop_epoch(root: str | None) -> float:
    """The second epoch of a loop as one would write it by hand."""
    _, data, task, precision = prepared(root)
    dataset = data.dataset("train")
    pixels: ResidentPixels = dataset.pixels
    images, labels = pixels.tensor, dataset.labels
    steps = -(-len(labels) // BATCH)
    optimizer, schedule = task.build_optimizer(2 * steps)
    model = task.model.train()
    for epoch in range(2):
        began = time.perf_counter()
        order = torch.from_numpy(grouped_order(data.offsets("train"), 0, epoch, group=False))
        for rows in order.split(BATCH):
            batch = {"rows": rows, "images": images[rows], "labels": labels[rows]}
            if data.augment:
                batch = augmented(batch, data.augment, seed=0, epoch=epoch, progress=0.0, num_classes=10)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                logits = model(batch["images"])
                loss = torch.nn.functional.cross_entropy(logits.float(), batch["labels"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return time.perf_counter() - began


class PILDigits(Dataset[tuple[torch.Tensor, int]]):
    """As torchvision's MNIST: a PIL image and its transforms for every sample."""

    def __init__(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index], mode="L")), int(self.labels[index])


class UsualModule(pl.LightningModule):
    """A module as the tutorials have it."""

    def __init__(self, network: torch.nn.Module, task: Any, steps: int) -> None:
        super().__init__()
        self.network = network
        self.build = lambda: task.build_optimizer(steps)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        logits = self.network(images).float()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", (logits.argmax(1) == labels).float().mean(), prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.build()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def usual_epoch(root: str | None) -> float:
    """The second epoch of Lightning with a DataLoader, per-sample transforms and two workers."""
    cfg, data, task, precision = prepared(root)
    dataset = data.dataset("train")
    steps: list[Any] = [
        transforms.ToTensor(),
        transforms.Normalize(list(cfg.data.mean), list(cfg.data.std)),
    ]
    if not PLAIN:
        affine = transforms.RandomAffine(
            10, translate=(0.07, 0.07), scale=(0.9, 1.1), shear=5, interpolation=BILINEAR
        )
        steps.insert(0, affine)
    transform = transforms.Compose(steps)
    digits = PILDigits(dataset.pixels.tensor[:, 0].numpy(), dataset.labels.numpy(), transform)
    network = torch.nn.Sequential(*list(task.model.layers)[1:])  # the transforms normalise
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        trainer = pl.Trainer(
            max_epochs=2,
            accelerator="cpu",
            precision=precision,
            callbacks=[clock],
            logger=pl.loggers.CSVLogger(folder),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        loader = DataLoader(digits, batch_size=BATCH, shuffle=True, num_workers=2)
        trainer.fit(UsualModule(network, task, 2 * len(loader)), loader)
    return clock.seconds


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--plain" and "=" not in word]
    rounds = int(words[0]) if words else 5
    root = str(Path(words[1]).absolute()) if len(words) > 1 else None
    os.environ["WANDB_MODE"] = "offline"
    assembly.quiet_console()
    assembly.log.disabled = True
    arms: dict[str, Callable[[str | None], float]] = {
        "loop": loop_epoch,
        "mmdl": mmdl_epoch,
        "usual Lightning": usual_epoch,
    }
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for number in range(rounds + 1):
        for arm, epoch in arms.items():
            seconds = epoch(root)
            if number:
                times[arm].append(seconds)
    base = statistics.median(times["loop"])
    kind = "no augmentation" if PLAIN else "affine augmentation"
    print(f"one epoch, batch {BATCH}, {kind}, {torch.get_num_threads()} threads, median of {rounds} rounds")
    medians = {arm: statistics.median(seconds) for arm, seconds in times.items()}
    for arm, median in medians.items():
        print(
            f"{arm:16} {median:7.2f} s  (least {min(times[arm]):.2f})   {median / base:.3f} x the loop's time"
        )
    print(f"mmdl is {medians['usual Lightning'] / medians['mmdl']:.2f} times as fast as the usual set-up")


if __name__ == "__main__":
    main()
