"""The VQA data module: one class for every source that yields a `VQAIndex` a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from mmdl.batch import VQABatch
from mmdl.data.answers import AnswerVocabulary, SoftTargets
from mmdl.data.base import WORKER_TIMEOUT_S, DataModule
from mmdl.data.cache import PixelCache, PixelFiles, Resize
from mmdl.data.item_pictures import ItemPictures
from mmdl.data.sampler import IntArray, rows_of
from mmdl.data.vqa_dataset import Tokenizer, VQADataset
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError, UserErrors
from mmdl.metrics.vqa_accuracy import applied_rule
from mmdl.runs.files import write_json

if TYPE_CHECKING:
    from mmdl.runs.item_files import Predictions

OnBadSample = Literal["raise", "skip"]


class VQASource(Protocol):
    """Where the questions come from."""

    def prepare(self) -> None:
        """Make or fetch the files; called on one process at a time."""

    def index(self, split: str) -> VQAIndex | None:
        """The validated index of `train`, `val` or `test`; None where the source has no such split."""


class VQADataOptions(TypedDict, total=False):
    """Arguments that every VQA data set shares; `VQADataModule` documents them."""

    tokenizer: Tokenizer
    batch_size: int
    eval_batch_size: int
    group_by_image: bool
    image_size: int
    resize: Resize
    min_answer_count: int
    num_answers: int | None
    vocab_size: int | None
    num_workers: int
    worker_timeout_s: float
    seed: int
    on_bad_sample: OnBadSample
    cache_pixels: bool
    cache_features: bool
    feature_dtype: Literal["float32", "float16"]
    overfit_batches: int


class VQADataModule(DataModule):
    """Questions about images, grouped by image.

    Args:
        source: Where the questions come from.
        tokenizer: Text to token ids; fitted on the training questions.
        batch_size: Questions in a training batch of one rank; their images come with them, each once.
        eval_batch_size: Questions in an evaluation batch.
        group_by_image: False draws questions independently and encodes an image once a question.
        image_size: Height and width in pixels that images are brought to.
        resize: `squash` changes the aspect ratio, `crop` cuts the centre out, `pad` adds black borders.
        min_answer_count: Keep answers that are the majority of at least so many training questions.
        num_answers: Keep at most so many answers; None keeps all that are frequent enough.
        vocab_size: Number of token ids, for the model; None takes the tokenizer's.
        num_workers: Loader processes.
        worker_timeout_s: End the run when loader processes get no sample for so many seconds.
        seed: Seed of the sample order.
        on_bad_sample: `raise` stops at the first bad files and lists them; `skip` leaves them out and counts them.
        cache_pixels: Keep decoded pixels in a memory-mapped file below `$MMDL_DATA`.
        cache_features: Keep the outputs of frozen towers there.
        feature_dtype: Precision of those.
        overfit_batches: Train on the first so many batches only.
        train_on_val: The source adds validation questions to the training ones; the run is marked.
    """

    produces = VQABatch

    def __init__(
        self,
        source: VQASource,
        *,
        tokenizer: Tokenizer,
        batch_size: int = 512,
        eval_batch_size: int = 1024,
        group_by_image: bool = True,
        image_size: int = 64,
        resize: Resize = "squash",
        min_answer_count: int = 9,
        num_answers: int | None = None,
        vocab_size: int | None = None,
        num_workers: int = 0,
        worker_timeout_s: float = WORKER_TIMEOUT_S,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
        cache_pixels: bool = True,
        cache_features: bool = True,
        feature_dtype: Literal["float32", "float16"] = "float32",
        overfit_batches: int = 0,
        train_on_val: bool = False,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group=group_by_image,
            num_workers=num_workers,
            worker_timeout_s=worker_timeout_s,
            seed=seed,
            overfit_batches=overfit_batches,
        )
        self.source = source
        self.tokenizer = tokenizer
        self.image_size = image_size
        self.resize: Resize = resize
        self.min_answer_count = min_answer_count
        self.most_answers = num_answers
        self.on_bad_sample = on_bad_sample
        self.cache_pixels = cache_pixels
        self.cache_features = cache_features
        self.feature_dtype = feature_dtype
        self.train_on_val = train_on_val
        self.indexes: dict[str, VQAIndex] = {}
        self.datasets: dict[str, VQADataset] = {}
        self.vocabulary: AnswerVocabulary | None = None
        self._given_vocabularies = False
        self._skipped: dict[str, int] = {}

    # -- making the splits ------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Make or fetch the files of the source."""
        self.source.prepare()

    def setup(self, stage: str | None = None, splits: Sequence[str] = ("train", "val", "test")) -> None:
        """Read, validate and encode the splits; a second call does nothing for what is there.

        Args:
            stage: Lightning's stage; everything is set up whatever it is.
            splits: Which splits.
        """
        for split in splits:
            if split in self.indexes:
                continue
            index = self.source.index(split)
            if index is not None:
                self.indexes[split] = index
        if not self._given_vocabularies and self.vocabulary is None:
            train = self._index("train")
            self.tokenizer.fit(list(dict.fromkeys(train.questions)))
            self.vocabulary = AnswerVocabulary.build(train.answers, self.min_answer_count, self.most_answers)
        for split, index in list(self.indexes.items()):
            if split not in self.datasets:
                self.datasets[split] = self._encode(split, index)

    def _encode(self, split: str, index: VQAIndex) -> VQADataset:
        assert self.vocabulary is not None
        index, pixels = self._pixels(split, index)
        self.indexes[split] = index
        for reason, count in index.skipped.items():
            self._skipped[reason] = self._skipped.get(reason, 0) + count
        texts = {text: position for position, text in enumerate(dict.fromkeys(index.questions))}
        ids, mask = self.tokenizer(list(texts))
        text_of = np.fromiter((texts[text] for text in index.questions), dtype=np.int64, count=len(index))
        answers = list(index.answers)
        targets = SoftTargets(answers, self.vocabulary) if any(answers) else None
        return VQADataset(index, pixels, (ids, mask, text_of), targets, self.group)

    def _pixels(self, split: str, index: VQAIndex) -> tuple[VQAIndex, PixelCache | PixelFiles]:
        paths = [Path(path) for path in index.image_paths]
        # Decoding everything once is what finds bad files before training; without a cache it is done only where
        # bad files are to be left out.
        if not self.cache_pixels and self.on_bad_sample == "raise":
            return index, PixelFiles(paths, self.image_size, self.resize)
        cache = PixelCache(paths, self.image_size, self.resize, f"decoding {split} images")
        if cache.bad:
            if self.on_bad_sample == "raise":
                errors = [UserError(message) for _, message in list(cache.bad.values())[:20]]
                errors[-1].fix = "mend or remove these files, or data.on_bad_sample=skip"
                raise UserErrors(errors)
            keep = np.setdiff1d(np.arange(index.num_images), np.fromiter(cache.bad, dtype=np.int64))
            skipped = dict(index.skipped)
            for row, (reason, _) in cache.bad.items():
                lost = int(index.image_offsets[row + 1] - index.image_offsets[row])
                skipped[reason] = skipped.get(reason, 0) + lost
            index = index.select_images(keep)
            index.skipped = skipped
            return self._pixels(split, index)
        return index, cache

    # -- what the base asks for -------------------------------------------------------------------------------------

    def _index(self, split: str) -> VQAIndex:
        if split not in self.indexes:
            raise UserError(
                f"the data has no {split!r} split",
                valid=", ".join(self.indexes) or "none",
                fix=f"give data.{split}=FILE, or choose another split",
            )
        return self.indexes[split]

    def dataset(self, split: str) -> VQADataset:
        """Data set of `train`, `val` or `test`.

        Raises:
            UserError: if the source has no such split.
        """
        self._index(split)
        return self.datasets[split]

    def offsets(self, split: str) -> IntArray:
        """`(I + 1,)` int64 question rows of each image."""
        return self._index(split).image_offsets

    def sizes(self, split: str) -> dict[str, int]:
        """Questions and images of a split."""
        index = self._index(split)
        return {"questions": len(index), "images": index.num_images}

    def splits(self) -> dict[str, frozenset[str]]:
        """Split -> image ids: no image may be in two splits."""
        return {split: frozenset(map(str, index.image_ids)) for split, index in self.indexes.items()}

    @property
    def skipped(self) -> dict[str, int]:
        """Questions left out, by reason, over all splits."""
        return dict(self._skipped)

    # -- what training derives --------------------------------------------------------------------------------------

    @property
    def num_answers(self) -> int:
        """Size of the answer vocabulary."""
        assert self.vocabulary is not None
        return len(self.vocabulary)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.tokenizer.vocab_size

    def facts(self) -> dict[str, Any]:
        """Config keys below `data` that become known with the data."""
        return {"num_answers": self.num_answers, "vocab_size": self.vocab_size}

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split's index, of the answers and of the tokenizer."""
        assert self.vocabulary is not None
        hashes = {split: index.fingerprint for split, index in self.indexes.items()}
        return hashes | {"answers": self.vocabulary.fingerprint, "tokenizer": self.tokenizer.fingerprint()}

    def vocabularies(self) -> dict[str, Any]:
        """Answer list and tokenizer state with their hashes."""
        assert self.vocabulary is not None
        return {
            "answers": self.vocabulary.answers,
            "answers_sha256": self.vocabulary.fingerprint,
            "tokenizer": self.tokenizer.state_dict(),
            "tokenizer_sha256": self.tokenizer.fingerprint(),
        }

    def load_vocabularies(self, state: dict[str, Any]) -> None:
        """Take over the vocabularies of a checkpoint.

        Raises:
            UserError: if there are none, a list does not match its hash, or the tokenizer is another one.
        """
        if "answers" not in state:
            raise UserError(
                "the run has no answers: it is no run of visual question answering",
                valid="a run of that kind",
                fix="python -m mmdl ls data, and choose data of the run's kind",
            )
        vocabulary = AnswerVocabulary(state["answers"])
        self.tokenizer.load_state_dict(state["tokenizer"])
        found = {"answers": vocabulary.fingerprint, "tokenizer": self.tokenizer.fingerprint()}
        for name, value in found.items():
            if state[f"{name}_sha256"] != value:
                raise UserError(
                    f"the {name} of the checkpoint do not match their hash: {value[:12]} is not "
                    f"{state[f'{name}_sha256'][:12]}",
                    fix="use the run's own data configuration, or another checkpoint",
                )
        self.vocabulary = vocabulary
        self._given_vocabularies = True

    def marks(self) -> dict[str, Any]:
        """Whether validation data was trained on, and what was left out."""
        return {"trained_on_val": self.train_on_val, "skipped": self.skipped}

    def notes(self, split: str) -> list[str]:
        """The scoring rule, and how many questions the vocabulary can't answer."""
        dataset = self.dataset(split)
        if dataset.targets is None:
            return [f"{split}: no reference answers, so no score"]
        fewest = min(len(answers) for answers in dataset.index.answers if answers)
        lost = len(self.out_of_vocabulary(split))
        lines = [
            f"scored by the {applied_rule(fewest)} rule of VQA accuracy ({fewest} reference answers a question)"
        ]
        if lost:
            lines.append(f"{lost:,} of {len(dataset):,} {split} questions have no answer in the vocabulary")
        if self.train_on_val:
            lines.append("trained on validation data")
        return lines

    def describe(self, split: str, rows: IntArray) -> str:
        """The first questions of a batch by id."""
        ids = self._index(split).question_ids
        return (
            "question ids "
            + ", ".join(str(ids[row]) for row in rows[:5].tolist())
            + ", ..." * (len(rows) > 5)
        )

    def write_reports(self, folder: Path) -> None:
        """`answers.json`: the vocabulary with its hash, and which questions fall out of it."""
        assert self.vocabulary is not None
        lost = {}
        for split, dataset in self.datasets.items():
            if dataset.targets is not None:
                rows = self.out_of_vocabulary(split).tolist()
                ids = dataset.index.question_ids
                lost[split] = {"n": len(rows), "of": len(dataset), "question_ids": [ids[row] for row in rows]}
        write_json(
            folder / "answers.json",
            {
                "sha256": self.vocabulary.fingerprint,
                "answers": self.vocabulary.answers,
                "out_of_vocabulary": lost,
            },
        )

    def pictures(self, split: str) -> ItemPictures:
        """The images of a split, each once."""
        dataset = self.dataset(split)
        index = dataset.index
        return ItemPictures(index.image_keys, index.image_paths, dataset.pixels)

    def predictions(
        self, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray | None = None
    ) -> list[Predictions]:
        """One record a question."""
        from mmdl.runs.item_files import Predictions
        from mmdl.runs.predictions import vqa_predictions

        if not outputs:
            return []
        if chosen is not None:
            outputs = rows_of(outputs, chosen)
        return [Predictions("vqa", "vqa_accuracy", list(vqa_predictions(self, split, outputs)))]

    def write_predictions(
        self, folder: Path, name: str, outputs: Mapping[str, np.ndarray[Any, Any]], split: str
    ) -> None:
        """`<name>.jsonl` with what it holds beside it, and `<name>_results.json` in the official format."""
        from mmdl.runs.item_files import write_items
        from mmdl.runs.predictions import write_vqa_results

        for kind, metric, records, _ in self.predictions(split, outputs):
            write_items(folder / f"{name}.jsonl", records, kind=kind, split=split, metric=metric)
            write_vqa_results(folder / f"{name}_results.json", records)

    def out_of_vocabulary(self, split: str) -> npt.NDArray[np.int64]:
        """`(n,)` rows of the questions that no answer of the vocabulary can score on."""
        targets = self.dataset(split).targets
        return targets.unreachable() if targets is not None else np.empty(0, dtype=np.int64)
