"""Muon for the hidden matrices and kernels, AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim import Muon as TorchMuon

from mmdl.errors import UserError


class Muon(Optimizer):
    """torch's Muon (Jordan et al. 2024) for all layers but the first and the last, torch's AdamW for the rest.

    Muon turns the momentum of a matrix into the nearest matrix whose singular values are all about 1. torch's own
    takes matrices only: kernels `(O, C, H, W)` are given to it as `(O, C * H * W)` matrices that share their memory.
    Vectors, embeddings, the first and the last layer are AdamW's, as its authors advise.

    Args:
        params: Parameter groups with their own `lr` and `weight_decay`; `hidden` says which are Muon's. Without that
            key matrices and kernels are Muon's.
        lr: Learning rate of Muon.
        weight_decay: Decoupled, for both.
        adamw_lr: Learning rate of AdamW. Where a group or a schedule scales `lr`, this one is scaled alike.
        momentum: Of Muon.
        nesterov: Whether Muon's momentum is Nesterov's.
        ns_steps: Newton-Schulz iterations of Muon.
        adjust_lr_fn: How Muon's rate depends on the matrix's shape: `original` (by `sqrt(max(1, rows / columns))`),
            `match_rms_adamw` (rates and decay as for AdamW) or `spectral_unclamped`.
        betas: Of AdamW.
        eps: Of AdamW.
        fused: One kernel for all of AdamW's parameters.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.02,
        weight_decay: float = 0.01,
        adamw_lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "original",
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        fused: bool = True,
    ) -> None:
        if not (lr > 0 and adamw_lr > 0):
            raise UserError(
                f"optimizer.lr={lr}, optimizer.adamw_lr={adamw_lr}",
                valid="positive numbers",
                fix="optimizer.lr=0.02",
            )
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "betas": tuple(betas),
            "eps": eps,
            "fused": fused,
        }
        super().__init__(_split(params, lr, adamw_lr / lr), defaults)
        self._parts: list[tuple[Optimizer, list[Tensor]]]
        try:
            self._make_parts()
        except ValueError as error:
            raise UserError(f"optimizer: {error}") from error

    def _make_parts(self) -> None:
        """One optimizer of torch for each group."""
        self._parts = []
        for group in self.param_groups:
            parameters: list[Tensor] = group["params"]
            if group["hidden"]:
                parameters = [_matrix(p.detach(), p) for p in parameters]
                pairs = zip(parameters, group["params"], strict=True)
                assert all(own.data_ptr() == given.data_ptr() for own, given in pairs), "a kernel with gaps"
                muon = TorchMuon(parameters, **_settings(group))
                self._parts.append((muon, parameters))
            else:
                adamw = AdamW(parameters, **_settings(group), fused=group["fused"])
                self._parts.append((adamw, parameters))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state: of a checkpoint, or in a copy."""
        super().__setstate__(state)
        self._make_parts()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each part, with the present settings of its group."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, (part, parameters) in zip(self.param_groups, self._parts, strict=True):
            part.param_groups[0].update(_settings(group))
            for own, given in zip(parameters, group["params"], strict=True):
                # The state is this optimizer's: saved and loaded with it. Lightning puts new dicts into it.
                part.state[own] = self.state[given]
                if own is not given:
                    own.data = _matrix(given.detach(), given)
                    own.grad = None if given.grad is None else _matrix(given.grad, given)
            part.step()
        return loss


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """The settings of torch's optimizer for a group, which a schedule may have changed."""
    own = ("momentum", "nesterov", "ns_steps", "adjust_lr_fn") if group["hidden"] else ("betas", "eps")
    return {name: group[name] for name in ("lr", "weight_decay", *own)}


def _split(params: Any, lr: float, factor: float) -> list[dict[str, Any]]:
    """Groups that are wholly Muon's, or wholly AdamW's with their rates times a factor."""
    given: list[Any] = list(params)
    groups: list[dict[str, Any]] = given if given and isinstance(given[0], dict) else [{"params": given}]
    found = []
    for group in groups:
        parameters = list(group["params"])
        matrices = [p for p in parameters if group.get("hidden", True) and p.ndim >= 2]
        others = [p for p in parameters if not (group.get("hidden", True) and p.ndim >= 2)]
        rate = group.get("lr", lr)
        if matrices:
            found.append({**group, "params": matrices, "lr": rate, "hidden": True})
        if others:
            found.append({**group, "params": others, "lr": rate * factor, "hidden": False})
    return found


def _matrix(tensor: Tensor, like: Tensor) -> Tensor:
    """A kernel, or its gradient, as a matrix with one row an output channel; of one memory where that can be.

    Args:
        tensor: `(O, ...)`.
        like: The kernel. Its memory order is that of the columns, for channels-last kernels too: what Muon does to a
            matrix does not depend on the order of its columns.
    """
    order = sorted(range(1, like.ndim), key=like.stride, reverse=True)
    return tensor.permute(0, *order).reshape(len(tensor), -1)
