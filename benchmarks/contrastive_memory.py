"""Peak memory and time of a contrastive loss with its gradients: plain, in tiles, and open_clip's.

    python benchmarks/contrastive_memory.py [SIZE ...] [--loss siglip] [--dim 512] [--tile 1024]

Sizes are images with one caption each, by default 1k to 32k. Each arm runs in a process of its own, in turns; its peak
is the resident memory above what there was before, embeddings included there. An arm that would not fit into the
free memory is not run: its figure grows with the square of the size from the last, and is marked with ~. The
gradients of the arms are compared with the plain ones, relative to the largest.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

SIZES = [1024 * 2**i for i in range(6)]
ARMS = ("plain", "open_clip", "tiled")
SHARE = 0.85
"""Of the free memory, at most."""


def loss_of(arm: str, loss: str, tile: int) -> Any:
    """A function of image and text embeddings, scale and bias."""
    import torch

    from mmdl.losses.infonce import infonce
    from mmdl.losses.pairs import Pairs
    from mmdl.losses.siglip import siglip
    from mmdl.losses.tiled_infonce import tiled_infonce
    from mmdl.losses.tiled_siglip import tiled_siglip

    if arm == "open_clip":
        from open_clip.loss import ClipLoss, SigLipLoss

        theirs: Any = SigLipLoss() if loss == "siglip" else ClipLoss()
        return theirs if loss == "siglip" else lambda image, text, scale, bias: theirs(image, text, scale)
    plain, tiled = {"infonce": (infonce, tiled_infonce), "siglip": (siglip, tiled_siglip)}[loss]
    own = plain if arm == "plain" else partial(tiled, tile=tile)

    def call(image: Any, text: Any, scale: Any, bias: Any) -> Any:
        ids = torch.arange(len(image))
        return own(Pairs(image, text, ids, ids), scale, bias)

    return call


def embeddings(size: int, dim: int) -> list[Any]:
    """Image and text embeddings with a cosine of about 0.45 between those of a pair, scale and bias."""
    import torch

    rng = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(size, dim, generator=rng), dim=1)
    text = torch.nn.functional.normalize(image + 2 * dim**-0.5 * torch.randn(size, dim, generator=rng), dim=1)
    return [value.requires_grad_() for value in (image, text, torch.tensor(20.0), torch.tensor(-10.0))]


def status(key: str) -> int:
    """Bytes from `/proc/self/status`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def run_arm(arm: str, loss: str, size: int, dim: int, tile: int, folder: str) -> None:
    """One forward and backward pass: prints bytes and seconds, and leaves the gradients."""
    import torch

    function = loss_of(arm, loss, tile)
    function(*embeddings(64, dim)).backward()  # what libraries take once
    leaves = embeddings(size, dim)
    linux = Path("/proc/self/clear_refs").exists()
    if linux:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = status("VmRSS") if linux else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    function(*leaves).backward()
    seconds = time.perf_counter() - began
    peak = status("VmHWM") if linux else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"bytes": peak - before, "seconds": seconds}))
    torch.save([leaf.grad for leaf in leaves], Path(folder) / f"{arm}.pt")


def free_memory() -> float:
    """Bytes that are available; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable"))


def difference(folder: Path, arm: str) -> float:
    """Largest difference of an arm's gradients from the plain ones, relative to the largest gradient."""
    import torch

    plain, other = (torch.load(folder / f"{name}.pt", weights_only=True) for name in ("plain", arm))
    found = 0.0
    for ours, theirs in zip(plain, other, strict=True):
        if ours is not None:
            found = max(found, float((ours - theirs).abs().max() / ours.abs().max()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--loss", choices=("infonce", "siglip"), default="infonce")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--arm", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        run_arm(given.arm[0], given.loss, given.sizes[0], given.dim, given.tile, given.arm[1])
        return
    print(f"{given.loss}, embeddings of {given.dim}, tiles of {given.tile}; peak MB, seconds")
    print(f"{'images':>7}" + "".join(f"{arm:>20}" for arm in ARMS) + "   plain/tiled   gradients differ by")
    last: dict[str, float] = {}
    previous = 0
    for size in given.sizes:
        shown, differs = "", ""
        with tempfile.TemporaryDirectory() as folder:
            for arm in ARMS:
                # three matrices of float32 at least
                expected = (size / previous) ** 2 * last[arm] if arm in last else 12.0 * size**2
                if arm != "tiled" and expected > SHARE * free_memory():
                    last[arm] = expected
                    shown += f"{'~' + format(expected / 1e6, ',.0f'):>12}{'-':>8}"
                    continue
                words = ["--loss", given.loss, "--dim", str(given.dim), "--tile", str(given.tile)]
                done = subprocess.run(
                    [sys.executable, __file__, str(size), *words, "--arm", arm, folder],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found = json.loads(done.stdout)
                last[arm] = found["bytes"]
                shown += f"{found['bytes'] / 1e6:>12,.0f}{found['seconds']:>8.2f}"
                if arm != "plain" and (Path(folder) / "plain.pt").exists():
                    differs += f"  {arm} {difference(Path(folder), arm):.1e}"
        previous = size
        print(f"{size:>7}{shown}   {last['plain'] / max(1.0, last['tiled']):>10.1f}x  {differs}", flush=True)


if __name__ == "__main__":
    main()
