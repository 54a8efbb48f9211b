"""Learning curves: train beside validation, epoch by epoch, and where validation says to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping

from mmdl.callbacks.checkpoints import Checkpoints
from mmdl.data.base import DataModule
from mmdl.data.sampler import spread_rows
from mmdl.evaluators.base import Artifact, EvaluationContext
from mmdl.figures.learning_curves import CurvePoint, draw_learning_curves
from mmdl.figures.style import save_png
from mmdl.runs.checkpoint_io import step_of
from mmdl.runs.jsonl_logger import note_counts
from mmdl.runs.tracker_images import log_images
from mmdl.tasks.base import Task


class LearningCurves(Callback):
    """Evaluates training samples at each validation, with the same weights, and draws both at the end of the run.

    The loss of the training steps would not do for a comparison: it is taken with dropout and augmentation, from
    weights that change within the epoch. So `train_eval/loss` and `train_eval/<score>` are taken over the training
    split as the validation's are over its own. They go to all loggers; `curves.png` is written when training ends.

    Args:
        folder: Where `curves.png` goes; the run folder.
        score: The figure beside the loss, by the name that an evaluator gives it; None for none.
        max_samples: Training samples, evenly spread; None takes all.
    """

    def __init__(self, folder: str, score: str | None = "accuracy", max_samples: int | None = 2000) -> None:
        self.folder = Path(folder)
        self.score = score
        self.max_samples = max_samples
        self.points: list[CurvePoint] = []
        self.chosen: CurvePoint | None = None
        """The validation whose weights are the run's; known at the end of training."""
        self.stopped: CurvePoint | None = None
        """Where early stopping ended the training, if it did."""
        self._max_epochs = 0
        self._measured: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """The curves so far."""
        return {"points": [list(point) for point in self.points]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.points = [CurvePoint(*values) for values in state_dict["points"]]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate the training samples with the weights that are validated, and log beside the validation's figures.

        Every rank gets here, one without a validation batch too.
        """
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        assert isinstance(pl_module, Task)
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        rows = spread_rows(int(data.offsets("train")[-1]), self.max_samples)
        outputs, loss, count = pl_module.evaluate_rows(data, "train", rows)
        self._measured = {"loss": loss} if count else {}
        counts = {"train_eval/loss": count}
        context = EvaluationContext(pl_module, data, "train", outputs, pl_module.quick, final=False)
        for evaluator in pl_module.evaluators.values() if self.score is not None else ():
            found = next((result for result in evaluator.run(context) if result.name == self.score), None)
            if found is not None:
                self._measured[found.name] = found.value
                counts[f"train_eval/{found.name}"] = found.n
                break
        note_counts(trainer.loggers, counts)
        for name, value in self._measured.items():
            pl_module.log(f"train_eval/{name}", value, rank_zero_only=False, batch_size=1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the point."""
        if not self._measured:
            return
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        batches = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        self.points.append(
            CurvePoint(
                step=trainer.global_step,
                epoch=batches / max(1, trainer.num_training_batches),
                train_loss=figures.get("train_eval/loss"),
                val_loss=figures.get("val/loss"),
                train_score=figures.get(f"train_eval/{self.score}"),
                val_score=figures.get(f"val/{self.score}"),
            )
        )
        self._measured = {}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw; also where a run that had ended was resumed."""
        self._max_epochs = trainer.max_epochs or 0
        saver = next((c for c in trainer.callbacks if isinstance(c, Checkpoints)), None)  # type: ignore[attr-defined]
        step = step_of(Path(saver.best_name)) if saver is not None and saver.best_name else -1
        self.chosen = next((point for point in self.points if point.step == step), None)
        stopping = [c for c in trainer.callbacks if isinstance(c, EarlyStopping)]  # type: ignore[attr-defined]
        if self.points and any(c.stopped_epoch for c in stopping):
            self.stopped = self.points[-1]
        if self.points and trainer.is_global_zero:
            figure = draw_learning_curves(self.points, self.score or "", self.chosen, self.stopped)
            path = save_png(figure, self.folder / "curves.png")
            shown = Artifact(path, "train and validation by epoch")
            log_images(trainer.loggers, {"curves": shown}, trainer.global_step)

    def figures(self) -> dict[str, float]:
        """For the summary: the chosen and the last epoch, and the losses and gaps there."""
        if not self.points:
            return {}
        named = {"last": self.points[-1]} | ({"chosen": self.chosen} if self.chosen is not None else {})
        found: dict[str, float] = {}
        for where, point in named.items():
            found[f"curves/{where}_epoch"] = point.epoch
            for name, value in (
                ("train_loss", point.train_loss),
                ("val_loss", point.val_loss),
                ("gap", point.gap),
            ):
                if value is not None:
                    found[f"curves/{where}_{name}"] = value
        return found

    def notes(self) -> list[str]:
        """For the card: what validation chose, and whether the curves parted after it."""
        if not self.points:
            return []
        lines = []
        last = self.points[-1]
        ended = f"of {last.epoch:g}" + (
            f" (early stopping; at most {self._max_epochs})" if self.stopped else ""
        )
        if self.chosen is not None and self.chosen is not last:
            lines.append(f"validation chose epoch {self.chosen.epoch:g} {ended}; {_after(self.chosen, last)}")
        elif self.chosen is not None:
            lines.append(f"validation chose the last epoch, {last.epoch:g}: longer training may be better")
        if last.gap is not None:
            earlier = self.chosen.gap if self.chosen is not None and self.chosen is not last else None
            first = "" if earlier is None else f"{earlier:.3f} at the chosen epoch, "
            lines.append(f"gap between val and train loss: {first}{last.gap:.3f} at the end")
        return [*lines, f"curves   {self.folder / 'curves.png'}"]


def _after(chosen: CurvePoint, last: CurvePoint) -> str:
    """What the losses did from the chosen epoch to the last."""
    if None in (chosen.train_loss, chosen.val_loss, last.train_loss, last.val_loss):
        return "without losses to compare"
    assert chosen.train_loss is not None
    assert chosen.val_loss is not None
    assert last.train_loss is not None
    assert last.val_loss is not None
    train = f"from {chosen.train_loss:.3g} to {last.train_loss:.2g}"
    val = f"from {chosen.val_loss:.3f} to {last.val_loss:.3f}"
    falling, rising = last.train_loss < chosen.train_loss, last.val_loss > chosen.val_loss
    if falling and rising:
        return f"train loss went on falling {train} while val loss rose {val}"
    return f"then train loss went {train} and val loss {val}"
