"""Predictions to compare with scikit-learn: ordinary ones and degenerate ones."""

import numpy as np
import pytest


def _softmax(logits):
    chances = np.exp(logits - logits.max(1, keepdims=True))
    return (chances / chances.sum(1, keepdims=True)).astype(np.float32)


def _cases():
    rng = np.random.default_rng(0)
    ten = rng.integers(0, 10, 600)
    two = rng.integers(0, 2, 300)
    logits = rng.normal(size=(600, 10)) * 2 + 1.5 * np.eye(10)[ten]
    yield "random", _softmax(logits), ten
    yield "unbalanced", _softmax(logits), np.where(rng.random(600) < 0.9, 3, ten)
    # bf16 logits are often equal
    yield "ties", _softmax(np.round(logits)), ten
    yield "perfect", _softmax(30 * np.eye(10)[ten]), ten
    yield "always wrong", _softmax(30 * np.eye(10)[(ten + 1) % 10]), ten
    yield "constant", np.tile(_softmax(logits[:1]), (600, 1)), ten
    yield "uniform", np.full((600, 10), 0.1, np.float32), ten
    yield "absent class", _softmax(logits), np.where(ten == 4, 5, ten)
    yield "binary", _softmax(rng.normal(size=(300, 2)) + np.eye(2)[two]), two
    yield "one class only", _softmax(rng.normal(size=(300, 2))), np.zeros(300, dtype=np.int64)
    yield "one sample", _softmax(rng.normal(size=(1, 10))), np.array([7])
    yield "saturated", np.eye(10, dtype=np.float32)[np.where(rng.random(600) < 0.8, ten, 0)], ten
    many = rng.integers(0, 120, 900)
    yield "many classes", _softmax(rng.normal(size=(900, 120)) + 4 * np.eye(120)[many]), many


CASES = {name: (probabilities, labels.astype(np.int64)) for name, probabilities, labels in _cases()}


@pytest.fixture(params=list(CASES))
def case(request):
    """`(N, K)` float32 probabilities and `(N,)` labels."""
    return CASES[request.param]
