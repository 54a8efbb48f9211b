"""Finds the images of an index that fit a text best, or that are most like an image.

usage: python -m mmdl search "WORDS" [KEY=VALUE ...]
       python -m mmdl search image=FILE
       python -m mmdl search queries=FILE.txt

The bare words are the query, in quotes: commas, `=` and `?` may be in it. It is encoded by the run that made the
index (`mmdl index run=RUN images=FOLDER`); the newest index below runs/ is taken, or index=FOLDER.

It prints rank, cosine similarity and path, and writes results.jsonl, a contact sheet (PNG) and a page (index.html)
that needs no server and no network, into the index's folder `searches/NAME`, or into `output`.

common overrides:
  top_k=50                      images a query
  index=FOLDER                  another index: its folder, or its name
  run=RUN                       the newest index of this run
  images=FOLDER                 where the images lie now, if they have moved
  backend=exact                 compare with all images, where the index was made for faiss

examples:
  python -m mmdl search "a red circle left of a square"
  python -m mmdl search image=photo.jpg top_k=5
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.assembly import quiet_console
from mmdl.cli.paths import shown
from mmdl.errors import UserError, nearest

if TYPE_CHECKING:
    from mmdl.search.exact import Nearest
    from mmdl.search.folder import Index
    from mmdl.search.queries import Query
    from mmdl.search.results import Found

BACKENDS = ("auto", "exact", "faiss")


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    started = time.perf_counter()
    quiet_console()
    _check(cfg)
    from mmdl.search.places import find_index
    from mmdl.search.queries import queries_of

    queries = queries_of(cfg)
    given, run = (None if cfg[key] is None else str(cfg[key]) for key in ("index", "run"))
    folder = find_index(Path(str(cfg.root)).expanduser(), given, run)
    from mmdl.search.folder import again, read_index, unfinished
    from mmdl.search.queries import encoded, remarks
    from mmdl.search.source import encoder_of

    index = read_index(folder)
    encoder = encoder_of(index, Path(str(cfg.root)).expanduser())
    loaded = time.perf_counter()
    embeddings = encoded(encoder, queries)
    between = time.perf_counter()
    nearest_rows = _nearest(str(cfg.backend), index, embeddings, int(cfg.top_k))
    done = time.perf_counter()
    images = index.images if cfg.images is None else Path(str(cfg.images)).expanduser()
    notes = [remarks(encoder.tokenizer, query) for query in queries]
    results = _results(queries, notes, nearest_rows, index, images)
    _print(results)
    if not index.facts["is_whole"]:
        print(f"note      {unfinished(index)}; go on with: {again(index.folder, index.facts)}")
    _write(cfg, results, index)
    print(
        f"time      {1e3 * (between - loaded):.0f} ms to encode {_counted(len(queries))}, "
        f"{1e3 * (done - between):.0f} ms to compare with {len(index):,} images; "
        f"{time.perf_counter() - started:.1f} s with loading and pictures"
    )


def _check(cfg: DictConfig) -> None:
    """What can be told at once."""
    if not isinstance(cfg.top_k, int) or isinstance(cfg.top_k, bool) or cfg.top_k < 1:
        raise UserError(f"top_k={cfg.top_k}", valid="1 or more", fix="top_k=20")
    if str(cfg.backend) not in BACKENDS:
        raise UserError(f"backend={cfg.backend}", valid=nearest(str(cfg.backend), BACKENDS))


def _nearest(backend: str, index: Index, queries: Any, k: int) -> Nearest:
    """By faiss where the index was made for it and nothing else is wanted, else exactly."""
    from mmdl.search.exact import exact_nearest

    file = index.faiss_file
    if backend == "faiss" and file is None:
        raise UserError(
            f"backend=faiss, and the index {index.folder} was made for the exact search",
            valid="auto, exact",
            fix=f"python -m mmdl index run={index.facts['made_by']['run']} images={index.images} backend=faiss",
        )
    if file is None or backend == "exact":
        return exact_nearest(queries, index.embeddings, k)
    from mmdl.search.faiss_index import faiss_nearest

    return faiss_nearest(file, int(index.facts["faiss"]["visited"]), queries, index.embeddings, k)


def _results(
    queries: list[Query], notes: list[list[str]], found: Nearest, index: Index, images: Path
) -> list[Found]:
    from mmdl.search.results import Found, Hit

    results = []
    for query, remarks, values, rows in zip(
        queries, notes, found.similarities.tolist(), found.rows.tolist(), strict=True
    ):
        hits = []
        for rank, (value, row) in enumerate(zip(values, rows, strict=True), start=1):
            path = images / index.names[row]
            hits.append(Hit(rank, index.names[row], value, path, path.is_file()))
        results.append(Found(query, hits, remarks))
    return results


def _print(results: list[Found]) -> None:
    from mmdl.search.results import table

    for found in results:
        print("\n".join(table(found)) + "\n")


def _write(cfg: DictConfig, results: list[Found], index: Index) -> None:
    from mmdl.inspection.subject import file_name
    from mmdl.search.writing import MOST_SHOWN, PAGE, RESULTS, write_results

    names = "\n".join(found.query.name for found in results)
    digest = hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    name = f"{file_name(results[0].query.name)[:40].rstrip('-')}-{digest}"
    folder = (
        Path(str(cfg.output)).expanduser() if cfg.output is not None else index.folder / "searches" / name
    )
    facts = [
        ("images", f"{len(index):,} in {index.images.name}"),
        ("run", str(index.facts["made_by"]["run"])),
        ("weights", Path(index.facts["made_by"]["weights_file"]).name),
        ("indexed", str(index.facts["date"])[:16].replace("T", " ")),
    ]
    sheets = write_results(folder, results, facts)
    print(f"index     {shown(index.folder)}  ({len(index):,} images in {index.images})")
    print(f"page      {shown(folder / PAGE)}")
    print(f"sheet     {shown(sheets[0])}" + (f" and {len(sheets) - 1} more" if len(sheets) > 1 else ""))
    print(f"results   {shown(folder / RESULTS)}")
    if len(results) > MOST_SHOWN:
        print(f"note      pictures are made for the first {MOST_SHOWN} of {len(results):,} queries")


def _counted(count: int) -> str:
    return "1 query" if count == 1 else f"{count:,} queries"
