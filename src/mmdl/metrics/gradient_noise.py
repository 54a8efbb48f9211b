"""The gradient-noise scale: the batch size up to which a larger batch makes a step better in proportion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, vmap

Tensors = Mapping[str, Tensor]
SampleLoss = Callable[[Tensors, Tensors], Tensor]
"""Parameters and one sample (tensors without a batch dimension) -> its scalar loss."""


class GradientNoise(NamedTuple):
    """How the gradients of single samples scatter around their mean.

    Attributes:
        scale: `B = trace / squared_norm`, in samples; infinite where `squared_norm` is not positive.
        trace: `tr(Sigma)`: the sum over all parameters of the variance of a single sample's gradient.
        squared_norm: `|G|^2` of the mean gradient. Estimated from a sample of a population it is unbiased, so it may
            be negative where the noise hides the gradient.
        n: Samples that were measured.
    """

    scale: float
    trace: float
    squared_norm: float
    n: int


def noise_scale(
    mean_squared_norm: float, squared_norm_of_mean: float, n: int, population: int | None = None
) -> GradientNoise:
    """The simple noise scale from two averages over `n` per-sample gradients `g`.

    Source: McCandlish et al. 2018, arXiv:1812.06162, equation 2.9 and appendix A.1, with small batches of one sample
    and a big one of all `n`. Both parts are unbiased; their ratio is not, as in the paper.

    Args:
        mean_squared_norm: Mean of `|g|^2`.
        squared_norm_of_mean: `|mean of g|^2`.
        n: At least 2.
        population: Number of samples from which the `n` were drawn without replacement, at least `n`: the result is
            then that of a uniform draw from these, and exact for `n = population`. None: as good as infinite.

    Raises:
        ValueError: if there are too few samples.

    >>> noise_scale(mean_squared_norm=5.0, squared_norm_of_mean=2.0, n=4)
    GradientNoise(scale=4.0, trace=4.0, squared_norm=1.0, n=4)
    >>> noise_scale(mean_squared_norm=5.0, squared_norm_of_mean=2.0, n=4, population=4)
    GradientNoise(scale=1.5, trace=3.0, squared_norm=2.0, n=4)
    """
    if n < 2 or (population is not None and population < n):
        raise ValueError(
            f"{n} samples of {population}: there must be two at least, and no more than there are"
        )
    # Cochran 1977, chapter 2: unbiased variance, and the variance of a mean without replacement
    variance = (mean_squared_norm - squared_norm_of_mean) * n / (n - 1)
    share = 0.0 if population is None else 1 / population
    squared_norm = squared_norm_of_mean - variance * (1 / n - share)
    trace = variance * (1 - share)
    scale = trace / squared_norm if squared_norm > 0 else math.inf
    return GradientNoise(scale, trace, squared_norm, n)


def per_sample_gradients(loss: SampleLoss, parameters: Tensors, samples: Tensors) -> dict[str, Tensor]:
    """The gradient of the loss of each sample by itself.

    Args:
        loss: Of one sample; it must not depend on other samples (batch norm in eval mode).
        parameters: What to differentiate by.
        samples: Tensors of `n` rows.

    Returns:
        Name of the parameter -> `(n, *shape)`.
    """
    detached = {name: value.detach() for name, value in parameters.items()}
    found: dict[str, Tensor] = vmap(grad(loss), in_dims=(None, 0))(detached, dict(samples))
    return found


def gradient_noise(
    loss: SampleLoss, parameters: Tensors, samples: Tensors, population: int | None = None, chunk: int = 256
) -> GradientNoise:
    """The simple noise scale, measured from the gradient of every sample.

    Args:
        loss: Of one sample, as for `per_sample_gradients`.
        parameters: What to differentiate by.
        samples: Tensors of `n` rows, `n >= 2`.
        population: As for `noise_scale`.
        chunk: Samples whose gradients are in memory at a time; sums are kept in float64.
    """
    n = len(next(iter(samples.values())))
    totals: dict[str, Tensor] = {}
    squares = torch.zeros((), dtype=torch.float64)
    for start in range(0, n, chunk):
        part = {name: value[start : start + chunk] for name, value in samples.items()}
        for name, gradients in per_sample_gradients(loss, parameters, part).items():
            gradients = gradients.double()
            squares = squares.to(gradients.device) + gradients.square().sum()
            summed = gradients.sum(0)
            totals[name] = totals[name] + summed if name in totals else summed
    norm = sum(float((total / n).square().sum()) for total in totals.values())
    return noise_scale(float(squares) / n, norm, n, population)
