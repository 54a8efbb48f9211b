"""What can't be combined with weights that are spread over ranks."""

from __future__ import annotations

from omegaconf import DictConfig

from mmdl.assembly import chosen, num_ranks
from mmdl.errors import UserError

FSDP2 = "mmdl.strategies.fsdp2.fsdp2"
INSTEAD = "strategy=ddp, which holds the whole model on every rank"
CALLBACKS = {
    "ema": "keeps a copy of the whole model on every rank",
    "swa": "keeps a copy of the whole model on every rank",
    "inside": "runs the model on rank 0 alone",
    "descent_curve": "moves the weights along lines by itself",
}
"""Callbacks by name -> why they need the whole model."""

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "auto")


def sharding_errors(cfg: DictConfig) -> list[UserError]:
    """All errors of a configuration with `strategy=fsdp2`; none where one rank trains, which shards nothing.

    Args:
        cfg: Of `train`.
    """
    strategy = cfg.get("strategy")
    wanted = (
        strategy is not None and strategy.get("_target_") == FSDP2 and str(cfg.trainer.strategy) == "auto"
    )
    if not wanted or num_ranks(cfg.trainer) == 1:
        return []
    errors = [
        UserError(
            f"callbacks: {name} with strategy=fsdp2: it {why}", valid=INSTEAD, fix="callbacks=[default]"
        )
        for name, why in CALLBACKS.items()
        if name in chosen(cfg.get("callbacks"))
    ]
    optimizer = str((cfg.get("optimizer") or {}).get("_target_", ""))
    if optimizer.startswith("mmdl.optim.muon."):
        errors.append(
            UserError(
                "optimizer=muon with strategy=fsdp2: it needs whole matrices, of which a rank has some rows",
                valid=f"optimizers that take each weight by itself; or {INSTEAD}",
                fix="optimizer=adamw",
            )
        )
    if (cfg.get("task") or {}).get("compile"):
        errors.append(
            UserError("task.compile=true with strategy=fsdp2", valid=INSTEAD, fix="task.compile=false")
        )
    precision = str(cfg.trainer.precision)
    if precision not in PRECISIONS and precision not in ("32", "bf16"):
        errors.append(
            UserError(
                f"trainer.precision={precision} with strategy=fsdp2",
                valid=", ".join(PRECISIONS),
                fix="trainer.precision=bf16-mixed",
            )
        )
    if cfg.get("find_batch_size"):
        errors.append(
            UserError(
                "find_batch_size=true with strategy=fsdp2: a rank that runs out of memory leaves the others waiting",
                valid=INSTEAD,
                fix="find_batch_size=false",
            )
        )
    if cfg.get("study") is not None:
        errors.append(UserError("a study with strategy=fsdp2", valid=INSTEAD, fix="strategy=ddp"))
    return errors
