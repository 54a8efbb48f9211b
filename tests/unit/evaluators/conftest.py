"""A contrastive model whose answers are known: it sees the mean colour of an image, and knows the words of colours."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.evaluators.base import EvaluationContext

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "grey": (90, 90, 90),
    "yellow": (255, 255, 0),
    "purple": (255, 0, 255),
}


class ColourModel(nn.Module):
    """`encode_images`: the mean colour, of length 1; `encode_texts`: that of the colour word, with noise for others."""

    def __init__(self, tokenizer):
        super().__init__()
        self.table = nn.Embedding(tokenizer.vocab_size, 3)
        with torch.no_grad():
            self.table.weight.mul_(0.01)
            for name, rgb in COLOURS.items():
                self.table.weight[int(tokenizer([name])[0][0, 0])] = torch.tensor(rgb) / 255
        self.image_tower = lambda images: SimpleNamespace(pooled=images.float().flatten(1))
        self.seen = []

    def encode_images(self, images):
        assert not torch.is_grad_enabled()
        self.seen.append(len(images))
        return nn.functional.normalize(images.float().mean((2, 3)), dim=1)

    def encode_texts(self, tokens, mask):
        words = self.table(tokens) * mask.unsqueeze(-1)
        return nn.functional.normalize(words.sum(1), dim=1)


class ColourSource:
    """Pictures of one colour each with some noise; `counts` a split."""

    def __init__(self, counts, classes=("red", "green", "blue"), size=6, seed=0):
        self.counts, self.classes, self.size, self.seed = counts, classes, size, seed

    def prepare(self):
        pass

    def split(self, name):
        if name not in self.counts:
            return None
        rng = np.random.default_rng([self.seed, ("train", "val", "test").index(name)])
        labels = rng.integers(0, len(self.classes), self.counts[name])
        ink = np.array([COLOURS[c] for c in self.classes])[labels][:, :, None, None]
        noise = rng.normal(scale=40, size=(len(labels), 3, self.size, self.size))
        pixels = np.clip(ink + noise, 0, 255).astype(np.uint8)
        ids = [f"{name}/{row}" for row in range(len(labels))]
        return ImageSplit(
            ids, labels.astype(np.int64), self.classes, pixels=pixels, content=f"colours {self.seed}"
        )


@pytest.fixture
def colours():
    """`colours(counts, ...)`: a data module of pictures of one colour."""

    def make(counts=None, **options):
        settings = {key: options.pop(key) for key in ("classes", "size", "seed") if key in options}
        source = ColourSource(counts or {"train": 90, "val": 30, "test": 60}, **settings)
        return ImageDataModule(source, **options)

    return make


@pytest.fixture
def run_data():
    """The run's own data, as far as evaluators look at it."""
    tokenizer = WordTokenizer(max_length=8)
    tokenizer.fit(["a photo of a red thing", "green and blue", "a grey one, yellow, purple."])
    return SimpleNamespace(tokenizer=tokenizer, image_size=6)


@pytest.fixture
def context(run_data):
    """The final evaluation of the test split."""
    model = ColourModel(run_data.tokenizer)
    task = SimpleNamespace(model=model, device=torch.device("cpu"), trainer=None, pause=lambda: None)
    return EvaluationContext(task, run_data, "test", {}, shared={})
