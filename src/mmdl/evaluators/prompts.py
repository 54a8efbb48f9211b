"""Prompts of zero-shot classification: named sets of templates, and names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmdl.errors import UserError, nearest

PLAIN = ("a photo of a {}.",)

NAMED = {"openai_imagenet_80": "OPENAI_IMAGENET_TEMPLATES", "simple_7": "SIMPLE_IMAGENET_TEMPLATES"}
"""Sets of open_clip: the 80 templates that OpenAI used for ImageNet, and the 7 that they found to do nearly as well."""

OPENAI_IMAGENET = "openai_imagenet"
"""Stands for the class names that OpenAI chose for ImageNet."""


def templates_of(given: str | Sequence[str], where: str) -> list[str]:
    """The templates that a config names or lists.

    Args:
        given: `plain`, `openai_imagenet_80`, `simple_7`, one template, or a list of templates; `{}` is the class.
        where: Config path, for messages.

    Returns:
        At least one template with `{}`.

    Raises:
        UserError: if there is no such set, or a template has no place for the class.

    >>> templates_of("plain", "x"), len(templates_of("openai_imagenet_80", "x"))
    (['a photo of a {}.'], 80)
    """
    if given == "plain":
        return list(PLAIN)
    if isinstance(given, str) and given in NAMED:
        from open_clip import zero_shot_metadata

        return [template("{}") for template in getattr(zero_shot_metadata, NAMED[given])]
    if isinstance(given, str) and "{}" not in given:
        names = ["plain", *NAMED]
        raise UserError(
            f"{where}.templates={given!r} is no set of templates",
            valid=f"{nearest(given, names)}, or a list of own ones such as ['a photo of a {{}}.']",
        )
    templates = [given] if isinstance(given, str) else [str(one) for one in given]
    if not templates or any(one.count("{}") != 1 for one in templates):
        wrong = next((one for one in templates if one.count("{}") != 1), "an empty list")
        raise UserError(f"{where}.templates: {wrong!r}", valid="templates with one {} for the class")
    return templates


def class_names_of(given: Any, classes: Sequence[str], where: str) -> list[str]:
    """What the classes are called in prompts.

    Args:
        given: None (the data's own names, underscores as spaces), a list, one name a class, a mapping from the data's
            names to others (the rest stays), or `openai_imagenet`.
        classes: The data's own names.
        where: Config path, for messages.

    Returns:
        One name a class.

    Raises:
        UserError: if the names don't fit the classes, or two classes get the same one.

    >>> class_names_of(None, ["aquarium_fish", "bear"], "x"), class_names_of({"bear": "brown bear"}, ["bear"], "x")
    (['aquarium fish', 'bear'], ['brown bear'])
    """
    path = f"{where}.class_names"
    if given == OPENAI_IMAGENET:
        return _openai_imagenet(classes, path)  # which has two pairs of equal names: missile and sunglasses
    if isinstance(given, str):
        raise UserError(f"{path}={given!r}", valid=f"null, a list, a mapping, or {OPENAI_IMAGENET}")
    if isinstance(given, Mapping):
        for name in given:
            if name not in classes:
                raise UserError(f"{path}.{name} is no class of the data", valid=nearest(str(name), classes))
        given = [given.get(name, _spoken(name)) for name in classes]
    names = [_spoken(name) for name in classes] if given is None else [str(name) for name in given]
    if len(names) != len(classes):
        raise UserError(
            f"{path} has {len(names)} names, and the data {len(classes)} classes", valid="one name a class"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: two classes are called {twice!r}", valid="a name of its own for each class")
    return names


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip()


def _openai_imagenet(classes: Sequence[str], path: str) -> list[str]:
    """From the names of `data=imagenet`, or synsets, to those of OpenAI; subsets too."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    from mmdl.data.sources.imagenet import synset_names

    names = dict(sorted(synset_names().items()))  # open_clip's are in the order of the synsets
    found = dict(zip(names.values(), IMAGENET_CLASSNAMES, strict=True))
    found |= dict(zip(names, IMAGENET_CLASSNAMES, strict=True))
    strangers = [name for name in classes if name not in found]
    if strangers:
        raise UserError(
            f"{path}={OPENAI_IMAGENET}, and the class {strangers[0]!r} is none of ImageNet's",
            valid="classes of ImageNet, or null: the data's own names",
        )
    return [found[name] for name in classes]
