"""What a training has cost so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Totals:
    """Sums over all starts of a run.

    Attributes:
        samples: Training samples, of all ranks.
        flops: Floating-point operations of their forward and backward passes; 0 where they were not counted.
        seconds: In which it trained: waiting for data counts; validation does not.
        peak_bytes: Most memory at a time, of the first rank.
    """

    samples: int = 0
    flops: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0

    def figures(self, peak_flops: float | None) -> dict[str, float]:
        """For the summary.

        Args:
            peak_flops: Operations a second that all devices do at most; None where unknown.

        >>> Totals(samples=100, flops=6000, seconds=2.0).figures(peak_flops=1e4)
        {'cost/samples': 100.0, 'time/train_s': 2.0, 'cost/samples_per_s': 50.0, 'cost/flops': 6000.0, \
'cost/flops_share': 0.3}
        """
        found = {"cost/samples": float(self.samples), "time/train_s": self.seconds}
        if self.seconds > 0:
            found["cost/samples_per_s"] = self.samples / self.seconds
        if self.flops:
            found["cost/flops"] = float(self.flops)
            if peak_flops and self.seconds > 0:
                found["cost/flops_share"] = self.flops / self.seconds / peak_flops
        if self.peak_bytes:
            found["cost/peak_memory_gb"] = self.peak_bytes / 1e9
        return found
