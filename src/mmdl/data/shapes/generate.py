"""Makes the shapes data set: pictures, captions, questions and answers in the official on-disk formats.

<root>/images/{train,val,test}/SHAPES_<split>_<image id>.png
<root>/annotations/captions_<split>.json      COCO captions, 5 an image
<root>/annotations/questions_<split>.json     VQA v2 questions
<root>/annotations/annotations_<split>.json   VQA v2 annotations, 10 answers a question
<root>/scenes_<split>.json                    ground truth
<root>/dataset.json                           arguments, counts and digests; written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from mmdl.data.shapes.scene import SceneObject
from mmdl.data.shapes.split import GENERATOR_VERSION, SPLITS, sample_split, write_split
from mmdl.errors import UserError, UserErrors
from mmdl.progress_bar import ProgressBar

MANIFEST = "dataset.json"
"""Name of the file that says what a data set consists of; a folder that has it is complete."""

_LIMITS = {
    "train": (1, 999_999),
    "val": (1, 999_999),
    "test": (1, 999_999),
    "image_size": (32, 1024),
    "min_objects": (1, 6),
    "max_objects": (1, 6),
    "questions_per_image": (1, 50),
    "seed": (0, 2**63 - 1),
}


def generate_shapes(
    root: Path | str,
    *,
    train: int = 10_000,
    val: int = 1_000,
    test: int = 1_000,
    image_size: int = 64,
    min_objects: int = 2,
    max_objects: int = 5,
    questions_per_image: int = 9,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Writes the data set to `root`, or finds it there already.

    The same arguments make the same JSON bytes and pixels on any platform. Splits have no scene in common,
    and the val and test splits don't depend on the size of train. The folder appears under its name only when
    it is complete; two processes that start at once make it once.

    Args:
        root: Folder to make. An existing one is never changed or deleted.
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        image_size: Side of the square images in pixels.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
        questions_per_image: Questions an image, where its scene allows as many.
        seed: Names the random streams.
        progress: Whether to show a bar.

    Returns:
        Content of `dataset.json`: `name`, `generator_version`, `arguments`, `counts` (by split), `files`
        (bytes and SHA-256 by path), `pixels` (SHA-256 by split) and `digest` over all.

    Raises:
        UserError: Bad arguments (all at once), other content at `root`, too little space, or no permission.
    """
    arguments = {
        "train": train,
        "val": val,
        "test": test,
        "image_size": image_size,
        "min_objects": min_objects,
        "max_objects": max_objects,
        "questions_per_image": questions_per_image,
        "seed": seed,
    }
    _check(arguments)
    target = Path(root).expanduser().resolve()
    try:
        found = _existing(target, arguments)  # without the lock first: data may lie on a read-only disk
        if found is not None:
            return found
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            found = _existing(target, arguments)
            return found if found is not None else _make(target, arguments, progress)
    except OSError as error:
        raise UserError(
            f"could not write the shapes data set to {target}: {error}",
            fix="another folder, one with space that you may write to",
        ) from error


def _check(arguments: dict[str, int]) -> None:
    errors = []
    for name, (least, most) in _LIMITS.items():
        value = arguments[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            errors.append(UserError(f"{name}={value!r}", valid=f"an integer from {least} to {most}"))
    if not errors and arguments["min_objects"] > arguments["max_objects"]:
        fewest, most = arguments["min_objects"], arguments["max_objects"]
        errors.append(UserError(f"min_objects={fewest} exceeds max_objects={most}"))
    if errors:
        raise UserErrors(errors)


def _existing(target: Path, arguments: dict[str, int]) -> dict[str, Any] | None:
    """Manifest of the data set at `target`, None where nothing is there yet."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    fix = f"another folder; or, if nothing there is needed, delete it: {target}"
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        made = {"name": manifest["name"], "version": manifest["generator_version"]} | manifest["arguments"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{target} holds something else than a shapes data set", fix=fix) from error
    wanted = {"name": "shapes", "version": GENERATOR_VERSION} | arguments
    if made != wanted:
        other = sorted(key for key in made.keys() | wanted.keys() if made.get(key) != wanted.get(key))
        differences = ", ".join(f"{key}={made.get(key)} (not {wanted.get(key)})" for key in other)
        raise UserError(f"{target} holds a shapes data set with {differences}", fix=fix)
    damaged = _damaged(target, manifest)
    if damaged:
        raise UserError(f"the shapes data set is damaged: {damaged} in {target}", fix=fix)
    return manifest


def _damaged(target: Path, manifest: dict[str, Any]) -> str:
    """What is missing or of another size; empty if nothing is. Looks at sizes only: milliseconds."""
    for name, facts in manifest["files"].items():
        path = target / name
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            return f"{name} is missing or has another size"
    for split, counts in manifest["counts"].items():
        folder = target / "images" / split
        sizes = [entry.stat().st_size for entry in os.scandir(folder)] if folder.is_dir() else []
        if len(sizes) != counts["images"] or 0 in sizes:
            return f"images/{split} lacks files or has empty ones"
    return ""


def _make(target: Path, arguments: dict[str, int], progress: bool) -> dict[str, Any]:
    """Writes to a temporary sibling and renames it; called under the lock."""
    prefix = f".{target.name}.part-"
    for leftover in target.parent.glob(prefix.replace("[", "[[]") + "*"):
        shutil.rmtree(leftover, ignore_errors=True)
    need, free = _bytes_needed(arguments), shutil.disk_usage(target.parent).free
    if need > free:
        megabytes = f"{free / 1e6:,.0f} MB free, about {need / 1e6:,.0f} MB needed"
        raise UserError(
            f"too little space in {target.parent}: {megabytes}",
            fix="fewer or smaller images, or another folder",
        )
    folder = target.with_name(f"{prefix}{os.getpid()}")
    try:
        manifest = _write(folder, arguments, progress)
        folder.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest


def _bytes_needed(arguments: dict[str, int]) -> int:
    images = arguments["train"] + arguments["val"] + arguments["test"]
    block = 4096  # the least that a file takes on common file systems
    image = -(-(arguments["image_size"] ** 2) // 4 // block) * block
    return images * (image + 2500 + 750 * arguments["questions_per_image"])


def _write(folder: Path, arguments: dict[str, int], progress: bool) -> dict[str, Any]:
    seed, objects = arguments["seed"], (arguments["min_objects"], arguments["max_objects"])
    taken: set[tuple[SceneObject, ...]] = set()
    manifest: dict[str, Any] = {
        "name": "shapes",
        "generator_version": GENERATOR_VERSION,
        "arguments": arguments,
        "counts": {},
        "files": {},
        "pixels": {},
    }
    total = sum(arguments[split] for split in SPLITS)
    with ProgressBar(total=total, desc="drawing shapes", unit=" images", disable=not progress) as bar:
        # train comes last, so that its size changes neither val nor test
        for split in reversed(SPLITS):
            scenes = sample_split(seed, split, arguments[split], *objects, taken)
            result = write_split(
                folder,
                split,
                (scene for scene in scenes if bar.update() or True),
                seed=seed,
                image_size=arguments["image_size"],
                questions_per_image=arguments["questions_per_image"],
            )
            manifest["counts"][split] = result.counts
            manifest["pixels"][split] = result.pixels_sha256
            for name, document in result.documents.items():
                manifest["files"][name] = _write_json(folder / name, document)
    assert len(taken) == total, "a scene stands in two splits"
    parts = [f"{name} {facts['sha256']}" for name, facts in sorted(manifest["files"].items())]
    parts += [f"{split} {digest}" for split, digest in sorted(manifest["pixels"].items())]
    manifest["digest"] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    _write_json(folder / MANIFEST, manifest)
    _sync(folder)
    return manifest


def _write_json(path: Path, document: Any) -> dict[str, Any]:
    data = json.dumps(document, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _sync(folder: Path) -> None:
    """Makes a folder's entries survive a power cut; only POSIX can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
