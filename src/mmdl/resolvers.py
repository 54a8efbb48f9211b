"""Functions that configs may call in interpolations: `${quick_or:10,1}`."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def _quick_or(full: Any, quick: Any, *, _root_: DictConfig) -> Any:
    return quick if _root_.get("quick") else full


def _stem_of(node: str, *, _root_: DictConfig) -> str | None:
    """The stem of the file that a node's `_target_` lies in, which is also that of its config."""
    target = OmegaConf.select(_root_, f"{node}._target_")
    return str(target).split(".")[-2] if isinstance(target, str) and "." in target else None


def register_resolvers() -> None:
    """Register them, once a process.

    `quick_or` takes its first argument in a normal run and its second where `quick=true`; `stem_of` names what a node
    is made by: `${stem_of:data}` is `shapes_vqa`.
    """
    if not OmegaConf.has_resolver("quick_or"):
        OmegaConf.register_new_resolver("quick_or", _quick_or)
    if not OmegaConf.has_resolver("stem_of"):
        OmegaConf.register_new_resolver("stem_of", _stem_of)
