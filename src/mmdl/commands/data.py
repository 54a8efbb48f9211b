"""Makes and fetches data.

usage: python -m mmdl data generate shapes [--root FOLDER] [--train N] [--val N] [--test N] ...
       python -m mmdl data prepare vqa_v2 [--root FOLDER] [--keep-zips]
       python -m mmdl data prepare coco [--year 2014|2017] [--karpathy] [--root FOLDER] [--keep-zips]
       python -m mmdl data prepare mnist|fashion_mnist|cifar10|cifar100 [--root FOLDER] [--url MIRROR]
       python -m mmdl data where

`generate shapes` makes the embedded data set in any size, in the official COCO captions and VQA v2 formats.
`prepare` downloads the official files (resumable, verified), or takes those that already lie in the folder.
`where` prints the folder for data and caches: $MMDL_DATA, else the platform's cache folder.

examples:
  python -m mmdl data generate shapes --root shapes-small --train 100 --val 20 --test 20
  python -m mmdl data prepare vqa_v2 --root /data/vqa_v2
  python -m mmdl data prepare coco --year 2014 --karpathy --root /data/coco
  python -m mmdl data prepare cifar10
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NoReturn

from mmdl.errors import UserError

IMAGE_SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100")
"""Image-classification sets that can be fetched."""


class _Parser(argparse.ArgumentParser):
    """Argument errors as `UserError`."""

    def error(self, message: str) -> NoReturn:
        raise UserError(
            f"data: {message}", valid=" ".join(self.format_usage().split()[1:]), fix="mmdl data --help"
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mmdl data", add_help=False)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    generate = verbs.add_parser("generate", help="make an embedded data set")
    generate.add_argument("name", choices=["shapes"])
    generate.add_argument("--root", type=Path, default=None)
    for name, default in (
        ("train", 10_000),
        ("val", 1_000),
        ("test", 1_000),
        ("image-size", 64),
        ("min-objects", 2),
        ("max-objects", 5),
        ("questions-per-image", 9),
        ("seed", 0),
    ):
        generate.add_argument(f"--{name}", type=int, default=default)
    prepare = verbs.add_parser("prepare", help="fetch an official data set")
    sets = prepare.add_subparsers(dest="name", required=True, parser_class=_Parser)
    for name in ("vqa_v2", "coco", *IMAGE_SETS):
        sets.add_parser(name).add_argument("--root", type=Path, default=None)
    vqa_v2 = sets.choices["vqa_v2"]
    vqa_v2.add_argument("--splits", nargs="+", choices=["train", "val", "test"], default=["train", "val"])
    vqa_v2.add_argument("--keep-zips", action="store_true")
    vqa_v2.add_argument("--images-url", default=None, help="mirror of the COCO image archives")
    vqa_v2.add_argument("--annotations-url", default=None, help="mirror of the VQA v2 archives")
    coco = sets.choices["coco"]
    coco.add_argument("--year", type=int, choices=[2014, 2017], default=2014)
    coco.add_argument("--karpathy", action="store_true", help="fetch Karpathy's split too")
    coco.add_argument("--keep-zips", action="store_true")
    for kind in ("images", "annotations", "karpathy"):
        coco.add_argument(
            f"--{kind}-url", default=None, help=f"mirror of the folder with the {kind} archives"
        )
    for name in IMAGE_SETS:
        sets.choices[name].add_argument("--url", default=None, help="mirror of the folder with the files")
    verbs.add_parser("where", help="print the folder for data and caches")
    return parser


def main(argv: list[str]) -> int:
    """Run the verb."""
    arguments = _parser().parse_args(argv)
    from mmdl.data.paths import data_home, data_root

    if arguments.verb == "where":
        print(data_home())
    elif arguments.verb == "generate":
        from mmdl.data.shapes.generate import generate_shapes
        from mmdl.data.shapes.split import default_name

        sizes = {
            name: getattr(arguments, name)
            for name in (
                "train",
                "val",
                "test",
                "image_size",
                "min_objects",
                "max_objects",
                "questions_per_image",
                "seed",
            )
        }
        wanted = (arguments.train, arguments.val, arguments.test, arguments.image_size, arguments.seed)
        root = data_root(arguments.root, "shapes", default_name(*wanted))
        facts = generate_shapes(root, **sizes)
        print(f"{root}: {json.dumps(facts['counts'])}")
        print(f"train on it: python -m mmdl train +experiment=vqa data.root={root}")
    elif arguments.name == "vqa_v2":
        _prepare_vqa_v2(arguments)
    elif arguments.name == "coco":
        _prepare_coco(arguments)
    else:
        _prepare_images(arguments)
    return 0


def _prepare_vqa_v2(arguments: argparse.Namespace) -> None:
    from mmdl.data.paths import data_root
    from mmdl.data.sources.vqa_v2 import prepare

    root = data_root(arguments.root, "vqa_v2")
    mirrors = {
        "images": arguments.images_url,
        "questions": arguments.annotations_url,
        "annotations": arguments.annotations_url,
    }
    base_urls = {kind: url for kind, url in mirrors.items() if url} or None
    prepare(root, splits=tuple(arguments.splits), base_urls=base_urls, keep_zips=arguments.keep_zips)
    print(f"ready: python -m mmdl train +experiment=vqa_v2 data.root={root}")


def _prepare_coco(arguments: argparse.Namespace) -> None:
    from mmdl.data.paths import data_root
    from mmdl.data.sources.coco import prepare

    root = data_root(arguments.root, "coco")
    mirrors = {kind: getattr(arguments, f"{kind}_url") for kind in ("images", "annotations", "karpathy")}
    base_urls = {kind: url for kind, url in mirrors.items() if url} or None
    year = arguments.year
    prepare(root, year, karpathy=arguments.karpathy, base_urls=base_urls, keep_zips=arguments.keep_zips)
    given = f" data.root={root}" * bool(arguments.root) + f" data.year={year}" * (year != 2014)
    print(f"ready: python -m mmdl train +experiment=clip_coco{given}")


def _prepare_images(arguments: argparse.Namespace) -> None:
    """Fetch a set, and read it, so that damaged files show now."""
    from importlib import import_module

    from mmdl.cli.catalog import catalog

    name = arguments.name
    builder = getattr(import_module(f"mmdl.data.{name}"), name)
    source = builder(root=str(arguments.root) if arguments.root else None).source
    if arguments.url:
        source.mirrors = (arguments.url,)
    source.prepare()
    splits = {split: source.split(split) for split in ("train", "test")}
    print(f"{source.root}: {json.dumps({split: len(found) for split, found in splits.items()})}")
    for note in [note for found in splits.values() for note in found.notes]:
        print(note)
    root = f" data.root={source.root}" if arguments.root else ""
    known = name in catalog("experiment")
    print(f"ready: python -m mmdl train +experiment={name}{root}" if known else f"ready: data={name}{root}")
