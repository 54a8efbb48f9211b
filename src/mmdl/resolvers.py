"""Functions that configs may call in interpolations: `${quick_or:10,1}`."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def _quick_or(full: Any, quick: Any, *, _root_: DictConfig) -> Any:
    return quick if _root_.get("quick") else full


def register_resolvers() -> None:
    """Register them, once a process.

    `quick_or` takes its first argument in a normal run and its second where `quick=true`.
    """
    if not OmegaConf.has_resolver("quick_or"):
        OmegaConf.register_new_resolver("quick_or", _quick_or)
