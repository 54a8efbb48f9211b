"""Writes a trained model as a folder that open_clip loads, or as one safetensors file.

usage: python -m mmdl export run=RUN|latest [output=FOLDER] [weights=best|last|FILE]
       python -m mmdl export run=RUN|latest format=safetensors [output=FILE] [weights=best|last|FILE]

The folder holds `open_clip_config.json` (architecture with its activation, and how images are prepared) and
`open_clip_model.safetensors`, and the tokenizer's files where it has some. open_clip loads the folder before the verb
ends, and its embeddings are compared with the run's. It goes for runs of `model=clip`.

`format=safetensors` goes for every run, also one that was stopped, or that several ranks share (strategy=fsdp2): the
whole tensors of a checkpoint, a few in memory at a time, under the names that the model has on one device.

    model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
    tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")

examples:
  python -m mmdl export run=latest
  python -m mmdl export run=latest output=my-clip
  python -m mmdl export run=latest format=safetensors weights=last output=weights.safetensors
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.assembly import build_task, quiet_console, static_errors
from mmdl.errors import UserError, UserErrors, nearest
from mmdl.instantiate import instantiate

if TYPE_CHECKING:
    from mmdl.runs.folder import RunFolder

FORMATS = ("open_clip", "safetensors")
CLIP = "mmdl.models.clip.CLIP"
TOWERS = "mmdl.models.clip_towers.CLIPTowers"


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    from mmdl.runs.folder import find_run

    run = find_run(Path(cfg.root).expanduser(), str(cfg.run))
    if cfg.format not in FORMATS:
        raise UserError(f"format={cfg.format} is unknown", valid=nearest(str(cfg.format), FORMATS))
    if cfg.format == "safetensors":
        print("\n".join(_write_safetensors(run, str(cfg.weights), cfg.output)))
        return
    _check_model(run)
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(Path(cfg.root).expanduser(), str(cfg.run), str(cfg.weights))
    config = loaded.config
    if errors := static_errors(config):
        raise UserErrors(errors)
    import lightning.pytorch as pl

    from mmdl.exporting import write_open_clip

    pl.seed_everything(config.seed, workers=True, verbose=False)
    tokenizer = instantiate(config.data.tokenizer)
    tokenizer.load_state_dict(loaded.vocabularies["tokenizer"])
    task = build_task(config)
    load_weights(task, loaded)
    model: Any = task.model
    output = Path(str(cfg.output)).expanduser() if cfg.output is not None else run.path / "export"
    about = {"run": run.id, "checkpoint": loaded.path.name, "step": int(loaded.checkpoint["global_step"])}
    difference = write_open_clip(model, tokenizer, output, str(config.data.resize), about)
    print("\n".join(_lines(output, tokenizer, difference)))


def _write_safetensors(run: RunFolder, weights: str, output: str | None) -> list[str]:
    """Write one file; returns what is to be said about it."""
    from mmdl.runs.checkpoint_files import open_checkpoint
    from mmdl.runs.loading import find_checkpoint
    from mmdl.runs.run_weights import store_weights

    path, checkpoint = find_checkpoint(run, weights, open_checkpoint)
    target = path.with_suffix(".safetensors") if output is None else Path(output).expanduser()
    if target.is_dir():
        raise UserError(f"{target} is a folder", valid="a file", fix=f"output={target}/weights.safetensors")
    store_weights(checkpoint, target)
    count = sum(tensor.numel() for tensor in checkpoint["state_dict"].values())
    return [
        f"written   {target}",
        f"from      {path.name}, step {int(checkpoint['global_step'])}: {len(checkpoint['state_dict'])} tensors, "
        f"{count:,} numbers, {target.stat().st_size / 1e6:.1f} MB",
        f'load      safetensors.torch.load_file("{target}")',
    ]


def _check_model(run: RunFolder) -> None:
    """Refuse a run whose model open_clip has no class for."""
    target = str(run.read_config().model._target_)
    if target == CLIP:
        return
    if target == TOWERS:
        raise UserError(
            f"the run {run.id!r} has model=clip_towers: open_clip has no architecture for towers put together",
            valid="a run of model=clip, whose architecture is one of open_clip's",
            fix=f"mmdl itself uses the run as it is (run={run.id}); format=safetensors writes its weights",
        )
    raise UserError(
        f"the run {run.id!r} has the model {target}, which is no encoder of images and texts",
        valid="a run of model=clip",
        fix=f"format=safetensors for its weights: python -m mmdl export run={run.id} format=safetensors",
    )


def _lines(output: Path, tokenizer: Any, difference: float) -> list[str]:
    from mmdl.data.tokenizer.open_clip import OpenCLIPTokenizer

    lines = [
        f"written   {output}",
        f"checked   open_clip's embeddings of the folder differ from the run's by at most {difference:.1e}",
        f'load      open_clip.create_model_and_transforms("local-dir:{output}")',
    ]
    if isinstance(tokenizer, OpenCLIPTokenizer):
        return [*lines, f'          open_clip.get_tokenizer("local-dir:{output}")']
    return [
        *lines,
        "tokenizer mmdl's own: open_clip has none for it, and what open_clip.get_tokenizer gives is another one; its "
        "state is in mmdl_tokenizer.json",
    ]
