"""Diagnosis of a contrastive training: what its loss is to be compared with, and why it does not fall."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdl.batch import ImageTextBatch
from mmdl.callbacks.contrastive_plateau import Plateau, Reading, find_plateau
from mmdl.callbacks.gradient_norms import gradient_norms, loss_scale
from mmdl.callbacks.weight_probe import WeightProbe
from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact
from mmdl.figures.loss_curve import draw_loss_curve, loss_lines
from mmdl.figures.style import save_png
from mmdl.losses.bounds import loss_bounds
from mmdl.metrics.caption_repeats import caption_repeats
from mmdl.models.layers.eval_mode import eval_mode
from mmdl.optim.learning_parts import learning_parts
from mmdl.runs.jsonl_logger import JsonlLogger, read_metrics
from mmdl.runs.tracker_images import log_images
from mmdl.runs.wandb_charts import log_lines

log = logging.getLogger("mmdl")

PROBE_IMAGES = 64
"""Images of the batch, with their captions, on which the similarities are taken, in eval mode."""


AT_CLAMP = 0.95
"""A scale above this share of its largest value counts as at it: the loss pulls it there and back."""


class ContrastiveDiagnosis(Callback):
    """Logs what a contrastive loss is measured against, and says in one line why it does not fall.

    Every few optimizer steps, to all loggers, below `train/`: `chance_level` (`ln(batch)` with one caption an image)
    and `loss_floor` (which repeated captions set; both are explained at `loss_bounds`), `temperature`, `logit_scale`
    (the factor itself), `logit_bias`, `scale_at_clamp`, `gradient_norm/image_tower`, `/text_tower` and `/logit_scale`
    (before clipping), `weights_moved/<tower>` (since the start, over their size), `duplicate_positives` (images that
    share their id with another one), `repeated_captions` (share), `positives_per_image`, `similarity/positive` and
    `similarity/negative` (cosines). Counts are those of all ranks together. The steps in between don't wait for the
    device.

    At the end `loss_curve.png` shows the losses with the chance level as a line.

    Args:
        folder: Where `loss_curve.png` goes; the run folder's `evaluation/figures`.
        every_n_steps: Optimizer steps from one measurement to the next.
        patience: Optimizer steps in which the loss must fall; a loss that does not is diagnosed. None takes 5% of the
            run, and at least 200.

    Raises:
        UserError: if one of the numbers is below 1.
    """

    def __init__(self, folder: str, every_n_steps: int = 20, patience: int | None = None) -> None:
        for key, value in (("every_n_steps", every_n_steps), ("patience", patience)):
            if value is not None and value < 1:
                raise UserError(f"callbacks.contrastive_diagnosis.{key}={value}", valid="1 or more")
        self.folder = Path(folder)
        self.every_n_steps = every_n_steps
        self.patience = patience
        self.readings: deque[Reading] = deque()
        self.plateau: Plateau | None = None
        """The present one; None while the loss falls."""
        self.told: list[str] = []
        """The lines that were logged."""
        self._groups: dict[str, list[nn.Parameter]] = {}
        self._probe: WeightProbe | None = None
        self._saved_probe: dict[str, Tensor] = {}
        self._first_gradient: Tensor | None = None
        self._loss: Tensor | None = None
        self._batches = 0
        self._norms: dict[str, Tensor] | None = None
        self._steps = 0

    # -- state ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The readings that count, what was told, and the weights of the start."""
        first = self._probe.first if self._probe is not None else {}
        return {
            "readings": [reading._asdict() for reading in self.readings],
            "told": list(self.told),
            "causes": None if self.plateau is None else [cause.name for cause in self.plateau.causes],
            "first_gradient": None if self._first_gradient is None else float(self._first_gradient),
            "weights": {name: value.cpu() for name, value in first.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.readings = deque(Reading(**values) for values in state_dict["readings"])
        self.told = list(state_dict["told"])
        self.plateau = find_plateau(list(self.readings)) if state_dict["causes"] is not None else None
        first = state_dict["first_gradient"]
        self._first_gradient = None if first is None else torch.tensor(first)
        self._saved_probe = dict(state_dict["weights"])

    # -- measuring --------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a run that is not contrastive.

        Raises:
            UserError: if the task has no contrastive loss.
        """
        if not hasattr(getattr(pl_module, "model", None), "logit_scale"):
            raise UserError(
                "callbacks=contrastive_diagnosis looks at the loss of image-text pairs, and this run has none",
                valid="a run with task=contrastive",
                fix="callbacks=[default]",
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look the towers up, and keep some of their weights."""
        task: Any = pl_module
        self._groups = {}
        for group in task.model.layer_groups():
            self._groups.setdefault(group.name.partition(".")[0], []).extend(group.parameters())
        towers = {name: own for name, own in self._groups.items() if name != "logit_scale"}
        self._probe = WeightProbe(towers)
        self._probe.first |= {name: value.to(pl_module.device) for name, value in self._saved_probe.items()}
        self._learning = learning_parts(task.model)
        self._steps = self.patience or max(200, task.total_steps() // 20)
        self._loss, self._batches, self._norms = None, 0, None

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Take the norms of the gradients on the device; Lightning clips after this."""
        due = (trainer.global_step + 1) % self.every_n_steps == 0
        if not due and self._first_gradient is not None:
            return
        factor = loss_scale(trainer, optimizer)
        norms = {name: norm / factor for name, norm in gradient_norms(self._groups).items()}
        if self._first_gradient is None:
            self._first_gradient = _of_towers(norms)
        if due:
            self._norms = norms

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sum the loss; after the last batch of a step that counts, measure and write."""
        loss = outputs["loss"].detach()
        self._loss = loss if self._loss is None else self._loss + loss
        self._batches += 1
        if self._norms is None:
            return
        norms = {name: float(norm) for name, norm in self._norms.items()}
        mean = float(self._loss) / self._batches
        self._loss, self._batches, self._norms = None, 0, None
        figures, reading = self._measure(trainer, pl_module, batch, norms, mean)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
        self._judge(trainer, reading)

    def _measure(
        self, trainer: pl.Trainer, task: Any, batch: ImageTextBatch, norms: dict[str, float], loss: float
    ) -> tuple[dict[str, float], Reading]:
        counts, loss = _joined(batch, loss, trainer.world_size)
        repeats = caption_repeats(*counts)
        logarithm, clamp = float(task.model.logit_scale.detach()), getattr(task, "max_log_scale", None)
        at_clamp = clamp is not None and logarithm >= clamp + math.log(AT_CLAMP)
        scale = math.exp(min(logarithm, clamp) if clamp is not None else logarithm)
        bounds = loss_bounds(repeats, task.loss_name, scale)
        positive, negative, alike = _similarities(trainer, task, batch)
        assert self._probe is not None
        moved = self._probe.change()
        figures = {
            "train/chance_level": bounds.chance,
            "train/loss_floor": bounds.floor,
            "train/temperature": 1 / scale,
            "train/logit_scale": scale,
            "train/scale_at_clamp": float(at_clamp),
            "train/duplicate_positives": float(repeats.duplicate_images),
            "train/repeated_captions": repeats.repeated_captions,
            "train/positives_per_image": repeats.positives_per_image,
            "train/similarity/positive": positive,
            "train/similarity/negative": negative,
            "train/similarity/images": alike,
        }
        if task.model.logit_bias is not None:
            figures["train/logit_bias"] = float(task.model.logit_bias.detach())
        figures |= {f"train/gradient_norm/{name}": norm for name, norm in norms.items() if name != "total"}
        figures |= {f"train/weights_moved/{name}": value for name, value in moved.items()}
        figures["trainer/global_step"] = trainer.global_step
        groups = trainer.optimizers[0].param_groups
        rates = [float(group["lr"]) for group in groups]
        peaks = [
            float(max(group["lr"], group.get("initial_lr", 0), group.get("max_lr", 0))) for group in groups
        ]
        reading = Reading(
            step=trainer.global_step,
            loss=loss,
            chance=bounds.chance,
            floor=bounds.floor,
            distinct_floor=bounds.distinct_floor,
            scale_floor=bounds.scale_floor,
            repeated_captions=repeats.repeated_captions,
            scale=scale,
            at_clamp=at_clamp,
            positive=positive,
            negative=negative,
            alike=alike,
            learning_rate=max(rates),
            peak_rate=max(peaks),
            gradient=float(_of_towers(norms)),
            first_gradient=0.0 if self._first_gradient is None else float(self._first_gradient),
            moved=moved,
            learning=self._learning,
        )
        return figures, reading

    # -- judging ----------------------------------------------------------------------------------------------------

    def _judge(self, trainer: pl.Trainer, reading: Reading) -> None:
        """Tell of a plateau when it begins, and again where another cause is seen."""
        self.readings.append(reading)
        while self.readings[-1].step - self.readings[0].step >= self._steps:
            self.readings.popleft()
        spanned = self.readings[-1].step - self.readings[0].step + self.every_n_steps
        rising = reading.learning_rate > self.readings[0].learning_rate
        if spanned < self._steps or len(self.readings) < 2:
            return
        if rising and reading.step < 2 * self._steps:  # a warm-up has twice the time
            return
        found = find_plateau(list(self.readings))
        known = set() if self.plateau is None else {cause.name for cause in self.plateau.causes}
        news = found is not None and (
            self.plateau is None or not {cause.name for cause in found.causes} <= known
        )
        self.plateau = found
        if found is not None and news:
            self.told.append(found.line())
            if trainer.is_global_zero:
                log.warning("%s", self.told[-1])

    # -- the end ----------------------------------------------------------------------------------------------------

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the curve from what the run folder holds: of the whole run, also where it was resumed."""
        own: Any = next((logger for logger in trainer.loggers if isinstance(logger, JsonlLogger)), None)
        if not trainer.is_global_zero or own is None:
            return
        lines = loss_lines(read_metrics(own.path))
        if not lines:
            return
        path = save_png(draw_loss_curve(lines), self.folder / "loss_curve.png")
        shown = Artifact(path, "training and validation loss, with the chance level")
        log_images(trainer.loggers, {"figures/loss_curve": shown}, trainer.global_step)
        log_lines(trainer.loggers, "charts/loss", lines, "loss and chance level")

    def notes(self) -> list[str]:
        """For the card: the plateau that the run ended in, or that it had."""
        if self.plateau is not None:
            return [f"plateau  {self.plateau.line()}"]
        return [f"plateau, since overcome  {line}" for line in self.told[-1:]]


def _of_towers(norms: Mapping[str, Tensor | float]) -> Tensor:
    """The norm of both towers' gradient together."""
    parts = [torch.as_tensor(norms[name]) for name in ("image_tower", "text_tower") if name in norms]
    return torch.linalg.vector_norm(torch.stack(parts)) if parts else torch.tensor(0.0)


def _text_ids(batch: ImageTextBatch) -> Tensor:
    """`(T,)` int64: equal for captions of equal tokens, on every rank, whatever the padding."""
    if "tokens" in batch:
        values, mask = batch["tokens"], batch["token_mask"]
    else:
        values = batch["text_features"].contiguous().float().view(torch.int32).long()
        mask = torch.ones_like(values, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (values.shape[1],), generator=generator).to(values.device)
    return ((values + 1) * factors * mask).sum(1)  # int64 wraps around: a hash of the row


def _joined(
    batch: ImageTextBatch, loss: float, world_size: int
) -> tuple[tuple[np.ndarray[Any, Any], ...], float]:
    """Image ids, image id of each caption, and text ids of the batches of all ranks; and the mean loss."""
    ids = batch["image_ids"]
    own = tuple(value.cpu().numpy() for value in (ids, ids[batch["image_index"]], _text_ids(batch)))
    if world_size == 1:
        return own, loss
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, (own, loss))
    joined = tuple(np.concatenate([part[0][n] for part in parts]) for n in range(3))
    return joined, float(np.mean([part[1] for part in parts]))


@torch.no_grad()
def _similarities(trainer: pl.Trainer, task: Any, batch: Any) -> tuple[float, float, float]:
    """Mean cosine of images with their own captions, with those of others, and of different images."""
    own = batch["image_index"] < PROBE_IMAGES
    part = {
        name: value[own] if name in _OF_CAPTIONS else value[:PROBE_IMAGES] for name, value in batch.items()
    }
    with eval_mode(task), trainer.precision_plugin.val_step_context():
        image, text = task.model(part)
    ids = part["image_ids"]
    positive = ids[:, None] == ids[part["image_index"]]  # (I, T)
    cosines, among = (image.float() @ text.float().T), image.float() @ image.float().T
    others = ids[:, None] != ids
    means = [
        (c * m).sum() / m.sum().clamp(min=1)
        for c, m in ((cosines, positive), (cosines, ~positive), (among, others))
    ]
    found: list[float] = torch.stack(means).tolist()
    return found[0], found[1], found[2]


_OF_CAPTIONS = ("caption_rows", "image_index", "tokens", "token_mask", "text_features")
