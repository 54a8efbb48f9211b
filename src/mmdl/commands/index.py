"""Encodes the images of a folder with a contrastive run, so that `mmdl search` finds them by text or by image.

usage: python -m mmdl index run=RUN|latest images=FOLDER [output=FOLDER]

The index is a folder: embeddings (.npy, memory-mapped by the search), the names of the images, and index.json, which
says what made them. It lies in the run's folder `indexes/NAME`, where `mmdl search` looks for it, or in `output`.

A second call encodes only what is new or changed (by size and time), and drops what is gone. Other weights of the run
make a new index. After Ctrl-C the same command goes on. Images that can't be decoded are listed and left out;
on_bad_sample=raise stops at them.

common overrides:
  weights=last                  best, last, or a checkpoint file
  dtype=float16                 half the disk; a similarity then is off by up to 0.001
  backend=faiss                 exact, faiss, or auto: exact below 1,000,000 images. faiss is approximate; its recall
                                is measured and shown. It needs: pip install "mmdl[search]"

examples:
  python -m mmdl index run=latest images=photos
  python -m mmdl search "a red circle left of a square"
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.assembly import quiet_console
from mmdl.cli.paths import shown
from mmdl.errors import UserError, nearest

if TYPE_CHECKING:
    from mmdl.runs.loading import LoadedRun
    from mmdl.search.building import Update
    from mmdl.search.settings import Settings

CHOICES = {
    "backend": ("auto", "exact", "faiss"),
    "dtype": ("auto", "float32", "float16"),
    "on_bad_sample": ("skip", "raise"),
}


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    from mmdl.search.encoder import find_contrastive_run
    from mmdl.search.places import index_folder

    _check(cfg)
    root, images = Path(str(cfg.root)).expanduser(), Path(str(cfg.images)).expanduser()
    run = find_contrastive_run(root, str(cfg.run))
    if not images.is_dir():
        what = "is a file" if images.exists() else "does not exist"
        raise UserError(f"images={images} {what}", valid="a folder of images")
    folder = Path(str(cfg.output)).expanduser() if cfg.output is not None else index_folder(run, images)
    from mmdl.runs.loading import load_run
    from mmdl.search.building import update_index

    loaded = load_run(root, str(cfg.run), str(cfg.weights))
    batch_size = int(cfg.batch_size)

    def encode(paths: list[Path]) -> Iterator[Any]:
        from mmdl.search.encoder import load_encoder
        from mmdl.search.encoding import encode_files

        return encode_files(load_encoder(loaded, str(cfg.accelerator)), paths, batch_size)

    update = update_index(folder, images, _settings(cfg, loaded), encode)
    print("\n".join(_lines(update, folder, loaded)))


def _check(cfg: DictConfig) -> None:
    """What can be told at once."""
    for key, valid in CHOICES.items():
        if str(cfg[key]) not in valid:
            near = nearest(str(cfg[key]), valid)
            raise UserError(f"{key}={cfg[key]}", valid=near, fix=f"{key}={near.split(',')[0]}")
    if not isinstance(cfg.batch_size, int) or cfg.batch_size < 1:
        raise UserError(f"batch_size={cfg.batch_size}", valid="1 or more")
    if cfg.backend == "faiss":
        from mmdl.search.faiss_index import load_faiss

        load_faiss()


def _settings(cfg: DictConfig, loaded: LoadedRun) -> Settings:
    """What the index depends on, as plain values."""
    from mmdl.runs.checkpoint_files import recorded_identity
    from mmdl.search.settings import Settings

    config = loaded.config
    made_by = {
        "run": loaded.run.id,
        "run_path": str(loaded.run.path.resolve()),
        "weights": recorded_identity(loaded.path),
        "weights_file": str(loaded.path.resolve()),
        "model": str(config.model._target_),
        "image_size": int(config.data.image_size),
        "resize": str(config.data.resize),
    }
    return Settings(made_by, str(cfg.dtype), str(cfg.backend), str(cfg.on_bad_sample) == "skip")


def _lines(update: Update, folder: Path, loaded: LoadedRun) -> Iterator[str]:
    """What was done, for a person."""
    from mmdl.search.settings import EXACT_BELOW

    facts = update.facts
    if update.anew:
        yield f"made anew: {update.anew}"
    if update.bad:
        from mmdl.data.bad_images import MOST_LISTED, count_by_reason

        yield from (f"left out: {one.message}" for one in update.bad[:MOST_LISTED])
        counts = ", ".join(f"{count:,} {reason}" for reason, count in count_by_reason(update.bad).items())
        yield f"left out  {counts}"
    done = update.added + update.changed
    speed = (
        f" in {update.seconds:.1f} s ({done / update.seconds:,.0f} images/s)"
        if done and update.seconds
        else ""
    )
    what = (
        f"{update.added:,} new, {update.changed:,} changed, {update.dropped:,} dropped, {update.kept:,} kept"
    )
    yield f"images    {what}{speed}" if done or update.dropped else f"images    up to date: {what}"
    size = sum(file["bytes"] for file in facts["files"].values())
    yield (
        f"index     {facts['count']:,} images x {facts['dim']} {facts['dtype']}, {facts['backend']}, "
        f"{size / 1e6:,.1f} MB, by {loaded.run.id} ({loaded.path.name})"
    )
    if "faiss" in facts:
        found = facts["faiss"]
        yield (
            f"faiss     recall@10 {found['recall@10']:.3f} against exact, measured on images of the index; "
            f"{found['visited']:,} of {found['lists']:,} lists are visited"
        )
    elif facts["count"] >= EXACT_BELOW:
        yield 'note      faiss would search so many images faster: pip install "mmdl[search]"'
    yield f"written   {shown(folder)}"
    yield 'next      python -m mmdl search "a red circle left of a square"' + (
        "" if folder.parent.parent == loaded.run.path else f" index={shown(folder)}"
    )
