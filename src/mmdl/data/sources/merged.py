"""Training on validation data: only on purpose, and from then on visible."""

from __future__ import annotations

from mmdl.data.vqa import VQASource
from mmdl.data.vqa_index import VQAIndex


def concatenated(first: VQAIndex, second: VQAIndex) -> VQAIndex:
    """The questions of both indexes; image paths become absolute.

    Args:
        first: Comes first.
        second: Comes after it.
    """
    parts = (first, second)
    return VQAIndex.from_columns(
        question_ids=[i for part in parts for i in part.question_ids],
        image_ids=[part.image_ids[int(row)] for part in parts for row in part.image_of],
        image_paths=[part.image_paths[int(row)] for part in parts for row in part.image_of],
        questions=[text for part in parts for text in part.questions],
        answers=[answers for part in parts for answers in part.answers],
        question_types=[kind for part in parts for kind in part.question_types],
        answer_types=[kind for part in parts for kind in part.answer_types],
        root=first.root,
        skipped={
            reason: first.skipped.get(reason, 0) + second.skipped.get(reason, 0)
            for reason in first.skipped | second.skipped
        },
    )


class ValInTrain:
    """A source whose training split also holds the validation questions.

    The validation split stays, to watch the run by; its figures say nothing about unseen data, which is why the run
    is marked.

    Args:
        source: The source.
    """

    def __init__(self, source: VQASource) -> None:
        self.source = source

    def prepare(self) -> None:
        """Prepare the source."""
        self.source.prepare()

    def index(self, split: str) -> VQAIndex | None:
        """`train` holds the questions of train and val; the other splits are as they were."""
        if split != "train":
            return self.source.index(split)
        train, val = self.source.index("train"), self.source.index("val")
        return train if train is None or val is None else concatenated(train, val)


def with_val_in_train(source: VQASource, train_on_val: bool) -> VQASource:
    """The source itself, or with its validation questions in training."""
    return ValInTrain(source) if train_on_val else source
