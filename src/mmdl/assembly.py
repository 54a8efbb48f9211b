"""From a composed configuration to data, task and trainer: the one place where all commands build them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from mmdl.clusters.launch import check_launch, device_count, tasks_per_node, under_srun, under_torchrun
from mmdl.errors import UserError
from mmdl.instantiate import instantiate
from mmdl.signature import binding_errors

if TYPE_CHECKING:
    import lightning.pytorch as pl
    import torch

    from mmdl.data.base import DataModule
    from mmdl.tasks.base import Task

log = logging.getLogger("mmdl")

PROVIDED = {
    "task": {"model", "optimizer", "schedule"},
    "optimizer": {"params"},
    "schedule": {"optimizer", "total_steps"},
    "trainer": {"callbacks", "logger", "plugins", "default_root_dir", "enable_progress_bar"},
    "data": set(),
}
"""Arguments that the program supplies, by config path."""

# What Lightning and others say about things that a user of mmdl can't change or that are meant so.
_UNHELPFUL = (
    r".*does not have many workers.*",
    r".*recommended to use .*sync_dist=True.*",
    r".*dataloader is not resumable.*",
    r".*smaller than the logging interval.*",
    r".*`isinstance\(treespec, LeafSpec\)`.*",
    r".*Found .* module\(s\) in eval mode.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*Experiment logs directory .* exists and is not empty.*",
    r".*Trying to infer the `batch_size`.*",
    r".*Lazy modules are a new feature.*",
    r".*lr_scheduler.step\(\)` before `optimizer.step\(\).*",
    r".*No device id is provided via.*",
    r".*Redirects are currently not supported.*",
    r".*overridden the `training_step`.*",
    r".*weights_only.*",
    r".*does not accept a `weights_only`.*",
    r".*GPU available but not used.*",
    r".*`srun` command is available.*",
    r".*to use tensor cores.*",
    r".*torch\.jit\.script. is deprecated.*",
    r".*WeightAveraging callback with a model that overrides.*",
)


def quiet_console() -> None:
    """mmdl's own messages as plain lines; Lightning's tips and warnings without a remedy not at all."""
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _UNHELPFUL:
        warnings.filterwarnings("ignore", message=message)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def static_errors(cfg: DictConfig) -> list[UserError]:
    """All errors that a configuration shows by itself: targets, signatures, types. Imports nothing heavy."""
    return binding_errors(cfg, provided=PROVIDED)


def chosen(nodes: Any) -> dict[str, Any]:
    """The parts of a group in which several can be chosen, by name.

    What an experiment sets of a part that the command line has taken away has no target, and is passed over.

    Args:
        nodes: A node such as `cfg.callbacks`; may be None.
    """
    return {
        str(name): node for name, node in (nodes or {}).items() if node is not None and "_target_" in node
    }


def build_data(
    cfg: DictConfig,
    vocabularies: Mapping[str, Any] | None = None,
    splits: Sequence[str] = ("train", "val", "test"),
) -> DataModule:
    """The data module, its files made or fetched, its splits read; its facts go into `cfg.data`.

    Args:
        cfg: Has `data`.
        vocabularies: Of a checkpoint; None derives them from the training split.
        splits: Which splits to read.
    """
    data: DataModule = instantiate(cfg.data)
    if vocabularies is not None:
        data.load_vocabularies(dict(vocabularies))
    data.prepare_data()
    data.setup(splits=splits)
    OmegaConf.set_struct(cfg, False)
    for name, value in data.facts().items():
        cfg.data[name] = value
    return data


def build_task(cfg: DictConfig) -> Task:
    """Model, losses, optimizer and schedule as one task; `cfg.data` holds the data's facts already."""
    model = instantiate(cfg.model)
    task: Task = instantiate(
        cfg.task, model=model, optimizer=instantiate(cfg.optimizer), schedule=instantiate(cfg.schedule)
    )
    return task


def device_of(cfg: DictConfig) -> torch.device:
    """The device on which this process will train."""
    import torch

    if torch.cuda.is_available() and str(cfg.trainer.accelerator) in ("auto", "gpu", "cuda"):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def build_evaluators(cfg: DictConfig) -> dict[str, Any]:
    """The evaluators by name."""
    return {name: instantiate(node) for name, node in chosen(cfg.get("evaluator")).items()}


def cluster_plugins() -> list[Any]:
    """Under `srun`, Lightning's view of the job without its own requeueing, which `Preemption` does."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    if under_srun():
        # Lightning refuses several tasks without it, and that of the job may not be that of this step.
        tasks = tasks_per_node(os.environ.get("SLURM_STEP_TASKS_PER_NODE", os.environ["SLURM_NTASKS"]))
        os.environ["SLURM_NTASKS_PER_NODE"] = str(tasks[0])
        return [SLURMEnvironment(auto_requeue=False)]
    # In an allocation without srun Lightning would wait for the ranks of all its tasks.
    return [LightningEnvironment()] if "SLURM_NTASKS" in os.environ and not under_torchrun() else []


def num_ranks(trainer: Mapping[Any, Any]) -> int:
    """How many ranks a node `trainer` asks for.

    Args:
        trainer: `devices`, `num_nodes` and `accelerator`, as plain values.
    """
    return device_count(trainer) * int(trainer["num_nodes"] or 1)


def build_trainer(
    cfg: DictConfig, callbacks: list[Any] | None = None, loggers: list[Any] | None = None
) -> pl.Trainer:
    """Lightning's Trainer with mmdl's checkpoints, order of samples and progress."""
    import lightning.pytorch  # noqa: F401 - sets up its loggers, which are to be quiet

    from mmdl.allocator import keep_freed_memory
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO
    from mmdl.runs.hardware import remember_no_gpu, resolve_precision
    from mmdl.strategies.batch_norms import JoinedBatchNorms
    from mmdl.strategies.leaving import leave_at_exit

    quiet_console()
    leave_at_exit()
    if device_of(cfg).type == "cpu":
        keep_freed_memory()
        remember_no_gpu()
    node = OmegaConf.to_container(cfg.trainer, resolve=True)
    assert isinstance(node, dict)
    check_launch(node)
    node["precision"] = resolve_precision(node["precision"], str(node["accelerator"]))
    strategy, plugins = node.pop("strategy"), [AtomicCheckpointIO(), *cluster_plugins()]
    if strategy == "auto" and cfg.get("strategy") is not None and num_ranks(node) > 1:
        strategy = instantiate(cfg.strategy)
    if node.pop("sync_batchnorm", False):
        plugins.append(JoinedBatchNorms())
    trainer: pl.Trainer = instantiate(
        node,
        callbacks=callbacks or [],
        logger=loggers or False,
        strategy=strategy,
        plugins=plugins,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )
    return trainer
