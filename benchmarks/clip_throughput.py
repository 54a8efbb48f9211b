"""CLIP training beside open_clip's own trainer: the same architecture, batch, precision and images on disk, in turns.

    python benchmarks/clip_throughput.py [--rounds 3] [--images 1024] [--batch 64] [--model NAME_OR_JSON] ...

needs `pip install "open_clip_torch[training]"` (mmdl[benchmarks]). One arm is `open_clip_train.main`, the other
`mmdl train`, each in a process of its own, in turns; both read the same tar shards of JPEG files with a caption each,
with RandomResizedCrop(0.9 to 1.0), AdamW, autocast to bf16, and no logger beyond their own files. open_clip gets the
number of loader workers (0, 1 or 2) with which it is fastest.

The figure is image-text pairs a second of whole epochs after the first, from the start of the epoch, before the loader
is started, to the end of its last step. Not counted, for either: the start of the process, reading an index,
checkpoints, and mmdl's decoding of the images, once before the first epoch (its seconds are printed).

What mmdl does less: it decodes each JPEG once and then reads pixels from a memory-mapped file, crops a whole batch at
once, and computes a batch's texts up to the longest of them and not up to the context length, which gives the same
embeddings. `--no-cache` makes it decode in every epoch, as open_clip does. The split into data, forward, backward and
optimizer comes from one more run of each arm, measured in the same way, so that the timed runs are untouched.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parts.captioned_shards import make_shards
from parts.watch import STEPS, Watch

SMALL = {
    "embed_dim": 256,
    "vision_cfg": {"image_size": 224, "layers": 6, "width": 256, "head_width": 64, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 6},
}
"""ViT-B-32 cut down for a CPU: half the depth, a third of the width."""


# -- the two arms, each in a process of its own ------------------------------------------------------------------------


def open_clip_arm(job: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """Train with `open_clip_train.main`."""
    import open_clip
    from open_clip_train import main as program

    open_clip.add_model_config(job["model"])
    train, data = program.train_one_epoch, program.get_data

    def timed(*args: Any, **kwargs: Any) -> Any:
        watch.start()
        result = train(*args, **kwargs)
        watch.stop()
        watch.finish()
        return result

    class Timed:
        """A loader that is watched, with what open_clip asks of one."""

        def __init__(self, loader: Any) -> None:
            self.loader = loader
            self.num_batches, self.num_samples = loader.num_batches, loader.num_samples

        def __iter__(self) -> Iterator[Any]:
            return watch.batches(self.loader)

    def watched(*args: Any, **kwargs: Any) -> Any:
        found = data(*args, **kwargs)
        found["train"].dataloader = Timed(found["train"].dataloader)
        return found

    program.train_one_epoch = timed
    if watch.split:
        program.get_data = watched
    shards = f"{job['shards']}/train-{{000000..{job['count'] - 1:06d}}}.tar"
    program.main(
        [
            *("--train-data", shards, "--dataset-type", "webdataset"),
            *("--train-num-samples", str(job["images"]), "--workers", str(job["workers"])),
            *("--model", Path(job["model"]).stem, "--batch-size", str(job["batch"])),
            *("--precision", "amp_bf16" if job["bf16"] else "fp32", "--device", "cpu"),
            *("--epochs", str(job["epochs"]), "--save-frequency", "0", "--logs", job["folder"]),
            *("--lr", "1e-4", "--wd", "0.2", "--beta1", "0.9", "--beta2", "0.98", "--eps", "1e-6"),
            *("--warmup", "10", "--log-every-n-steps", "20"),
        ]
    )
    return {}


def mmdl_arm(job: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """Train with `mmdl train`."""
    import lightning.pytorch as pl

    from mmdl import assembly
    from mmdl.cli.app import compose
    from mmdl.commands import train
    from mmdl.data.base import BatchLoader
    from mmdl.data.captions import CaptionDataModule

    class Clock(pl.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            watch.start()

        def on_train_batch_end(self, *_: Any) -> None:
            watch.stop()

        def on_train_epoch_end(self, *_: Any) -> None:
            watch.finish()

    plain, prepare, prepared = assembly.build_trainer, CaptionDataModule.setup, [0.0]

    def with_clock(cfg: Any, callbacks: Any = None, loggers: Any = None) -> pl.Trainer:
        return plain(cfg, [Clock(), *(callbacks or [])], loggers)

    def setup(*args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        prepare(*args, **kwargs)
        prepared[0] += time.perf_counter() - began

    train.build_trainer = with_clock
    CaptionDataModule.setup = setup  # type: ignore[method-assign]
    if watch.split:
        CaptionDataModule.on_after_batch_transfer = watch.prepared(  # type: ignore[method-assign]
            CaptionDataModule.on_after_batch_transfer
        )
        batches = BatchLoader.__iter__
        BatchLoader.__iter__ = lambda loader: watch.batches(_Iterable(batches, loader))  # type: ignore[method-assign]
    name = Path(job["model"]).stem
    size = json.loads(Path(job["model"]).read_text())["vision_cfg"]["image_size"]
    overrides = [
        *("data=webdataset", "model=clip", "task=contrastive", "name=throughput", "logger=none"),
        *(f"data.shards={job['shards']}/train-*.tar", f"data.val_shards={job['shards']}/val-000000.tar"),
        *(f"data.test_shards={job['shards']}/test-000000.tar", f"data.cache_pixels={job['cache']}"),
        *(f"data.batch_size={job['batch']}", f"data.image_size={size}", f"model.name={job['model']}"),
        *("tokenizer@data.tokenizer=open_clip", "data.tokenizer.name=ViT-B-32"),
        *("augment@data.augment=[resized_crop]", "data.augment.resized_crop.scale=[0.9,1.0]"),
        *("optimizer.lr=1e-4", "optimizer.weight_decay=0.2", "optimizer.betas=[0.9,0.98]"),
        *("+optimizer.eps=1e-6", f"trainer.max_epochs={job['epochs']}", "trainer.accelerator=cpu"),
        *(
            "trainer.limit_val_batches=1",
            "trainer.limit_test_batches=1",
            f"data.num_workers={job['workers']}",
        ),
        *(f"trainer.precision={'bf16-mixed' if job['bf16'] else '32-true'}", f"run.root={job['folder']}"),
        f"run.id={name}",
    ]
    train.main(compose("train", overrides))
    return {"prepared": prepared[0]}


class _Iterable:
    def __init__(self, function: Any, loader: Any) -> None:
        self.function, self.loader = function, loader

    def __iter__(self) -> Iterator[Any]:
        return self.function(self.loader)


ARMS = {"open_clip": open_clip_arm, "mmdl": mmdl_arm}


def arm(path: str) -> None:
    """Run the arm that a job file describes, and write its seconds into it."""
    job = json.loads(Path(path).read_text())
    import torch

    torch.set_num_threads(job["threads"])
    watch = Watch(job["split"])
    if watch.split:
        watch.measure()
    found = ARMS[job["arm"]](job, watch)
    Path(path).write_text(
        json.dumps(
            job | found | {"seconds": watch.epochs, "processor": watch.processor, "steps": watch.steps}
        )
    )


# -- the comparison ----------------------------------------------------------------------------------------------------


def run(job: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Run one arm in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job | changes | {"folder": folder}))
        environment = os.environ | {"WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1", "MMDL_DATA": job["data"]}
        done = subprocess.run(
            [sys.executable, __file__, "--arm", str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        if done.returncode:
            raise SystemExit(
                f"{(job | changes)['arm']} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )
        result: dict[str, Any] = json.loads(path.read_text())
        return result


def rate(result: dict[str, Any]) -> float:
    """Pairs a second of the epochs after the first."""
    later = result["seconds"][1:]
    steps = -(-result["images"] // result["batch"]) if result["arm"] == "open_clip" else None
    pairs = result["images"] if steps is None else steps * result["batch"]
    return pairs * len(later) / sum(later)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1024, help="a multiple of the batch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="of each run; the first is not counted")
    parser.add_argument(
        "--model", default=None, help="a name of open_clip, or a JSON file; default: a small ViT"
    )
    parser.add_argument("--workers", default="0,1,2", help="of open_clip's loader; the best is taken")
    parser.add_argument(
        "--side", type=int, default=None, help="short side of the JPEG files; default: the originals'"
    )
    parser.add_argument("--fp32", action="store_true", help="in place of autocast to bf16")
    parser.add_argument("--no-cache", action="store_true", help="mmdl decodes in every epoch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    return parser.parse_args()


def installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it is known to be none
        return False


def main() -> None:
    words = arguments()
    if words.arm:
        return arm(words.arm)
    absent = [
        name for name in ("open_clip_train", "webdataset", "pandas") if importlib.util.find_spec(name) is None
    ]
    if absent:
        print(f'skipped: {", ".join(absent)} not installed; pip install "open_clip_torch[training]"')
        return None
    if words.images % words.batch:
        raise SystemExit(
            f"--images {words.images} is no multiple of --batch {words.batch}: the arms would differ"
        )
    with tempfile.TemporaryDirectory() as folder:
        compare(words, Path(folder))
    return None


def compare(words: argparse.Namespace, folder: Path) -> None:
    """Run both arms in turns and print what came out."""
    import open_clip

    config = SMALL
    if words.model is not None:
        given = Path(words.model)
        config = json.loads(given.read_text()) if given.is_file() else open_clip.get_model_config(words.model)
    model = folder / "throughput_model.json"
    model.write_text(json.dumps(config))
    job = {
        "arm": "mmdl",
        "shards": str(folder / "shards"),
        "count": make_shards(folder / "shards", words.images, words.side),
        "data": str(folder / "data"),
        "model": str(model),
        "images": words.images,
        "batch": words.batch,
        "epochs": words.epochs,
        "bf16": not words.fp32,
        "threads": words.threads,
        "workers": 0,
        "cache": not words.no_cache,
        "split": False,
    }
    precision = "fp32" if words.fp32 else "bf16 autocast"
    print(
        f"{words.images} images, batch {words.batch}, {precision}, {words.threads} threads, {words.rounds} rounds"
    )
    first = run(job, epochs=2)  # decodes the images once
    print(f"mmdl reads headers, decodes and tokenises once before the first epoch: {first['prepared']:.1f} s")
    tried = {
        count: rate(run(job, arm="open_clip", workers=int(count), epochs=2))
        for count in words.workers.split(",")
    }
    best = max(tried, key=lambda count: tried[count])
    print("open_clip by workers: " + ", ".join(f"{count}: {value:.1f}/s" for count, value in tried.items()))
    rates: dict[str, list[float]] = {name: [] for name in ARMS}
    cost: dict[str, list[float]] = {name: [] for name in ARMS}
    for _ in range(words.rounds):
        for name, workers in (("open_clip", int(best)), ("mmdl", 0)):
            result = run(job, arm=name, workers=workers)
            rates[name].append(rate(result))
            cost[name] += [1000 * seconds / words.images for seconds in result["processor"][1:]]
    splits = {
        "open_clip": run(job, arm="open_clip", workers=int(best), split=True)["steps"],
        "mmdl": run(job, split=True)["steps"],
    }
    base = statistics.median(rates["open_clip"])
    print(f"\n{'':10} {'pairs/s':>8}  ratio   ms a pair: " + "".join(f"{name:>10}" for name in STEPS))
    for name, values in rates.items():
        parts = "".join(f"{1000 * splits[name][step] / words.images:10.2f}" for step in STEPS)
        spread = f"({min(values):.1f} to {max(values):.1f})"
        median = statistics.median(values)
        print(f"{name:10} {median:8.1f}  x{median / base:.2f}  {'':11}{parts}   {spread}")
    lines = ", ".join(f"{name} {statistics.median(values):.2f}" for name, values in cost.items())
    print(
        f"processor milliseconds a pair of the training process, which other programs don't lengthen: {lines}"
    )


if __name__ == "__main__":
    main()
