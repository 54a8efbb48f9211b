"""Writes a trained image-text encoder as a folder that open_clip loads.

usage: python -m mmdl export run=RUN|latest [output=FOLDER] [weights=best|last|FILE]

The folder holds `open_clip_config.json` (architecture with its activation, and how images are prepared) and
`open_clip_model.safetensors`, and the tokenizer's files where it has some. open_clip loads the folder before the verb
ends, and its embeddings are compared with the run's. It goes for runs of `model=clip`.

    model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
    tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")

examples:
  python -m mmdl export run=latest
  python -m mmdl export run=latest output=my-clip
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.assembly import build_task, quiet_console, static_errors
from mmdl.errors import UserError, UserErrors
from mmdl.instantiate import instantiate

if TYPE_CHECKING:
    from mmdl.runs.folder import RunFolder

CLIP = "mmdl.models.clip.CLIP"
TOWERS = "mmdl.models.clip_towers.CLIPTowers"


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    from mmdl.runs.folder import find_run

    run = find_run(Path(cfg.root).expanduser(), str(cfg.run))
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


def _check_model(run: RunFolder) -> None:
    """Refuse a run whose model open_clip has no class for."""
    target = str(run.read_config().model._target_)
    if target == CLIP:
        return
    if target == TOWERS:
        raise UserError(
            f"the run {run.id!r} has model=clip_towers: open_clip has no architecture for towers put together",
            valid="a run of model=clip, whose architecture is one of open_clip's",
            fix=f"mmdl itself uses the run as it is (run={run.id}); its weights are in {run.checkpoints}",
        )
    raise UserError(
        f"the run {run.id!r} has the model {target}, which is no encoder of images and texts",
        valid="a run of model=clip",
        fix="python -m mmdl train model=clip ... (python -m mmdl ls experiment)",
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
