"""What keeping freed memory is worth on this CPU: the same training steps with and without it.

    python benchmarks/allocator.py [rounds]

Each arm runs in fresh processes, in turns; the figure to quote is the ratio of medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STEPS = 12


def steps() -> float:
    """Median seconds of a training step of the MNIST network on 512 images."""
    import torch

    from mmdl.models.cnn import CNN
    from mmdl.runs.hardware import cpu_computes_bf16

    torch.manual_seed(0)
    model = CNN(1, 28, 10, channels=[16, 32, 64], hidden=[]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images = torch.randint(0, 256, (512, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(0, 10, (512,))
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_computes_bf16()):
            loss = torch.nn.functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times[3:])


def main() -> None:
    if sys.argv[1:2] == ["--arm"]:
        if sys.argv[2] == "kept":
            from mmdl.allocator import keep_freed_memory

            keep_freed_memory()
        print(steps())
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    arms: dict[str, list[float]] = {"default": [], "kept": []}
    for _ in range(rounds):
        for arm, times in arms.items():
            done = subprocess.run(
                [sys.executable, __file__, "--arm", arm], capture_output=True, text=True, check=True
            )
            times.append(float(done.stdout))
    base = statistics.median(arms["default"])
    for arm, times in arms.items():
        median = statistics.median(times)
        print(f"{arm:8} {median * 1e3:7.1f} ms a step   x{base / median:.2f}")


if __name__ == "__main__":
    main()
