"""The captions of one sample of a shard: a text file, or a field of a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmdl.errors import UserError

CaptionReason: TypeAlias = Literal["empty caption", "not UTF-8", "malformed JSON", "no caption"]
"""Why a sample has no usable caption; `on_bad_sample=skip` counts by it."""

CAPTION_REASONS: tuple[CaptionReason, ...] = ("empty caption", "not UTF-8", "malformed JSON", "no caption")


class BadCaptions(UserError):
    """Captions that can't be used.

    Args:
        name: The sample.
        reason: One of `CaptionReason`.
        detail: What exactly was found; may be empty.
    """

    def __init__(self, name: str, reason: CaptionReason, detail: str = "") -> None:
        self.name = name
        self.reason: CaptionReason = reason
        super().__init__(
            f"bad captions of {name}: {reason}" + (f" ({detail})" if detail else ""),
            fix="mend or remove the sample, or data.on_bad_sample=skip",
        )


@dataclass(frozen=True)
class CaptionFormat:
    """Where the captions of a sample are.

    Attributes:
        file: Extension of the file: `txt`, `json`, or any other text.
        per_line: A text file holds one caption a line; else it is one caption.
        field: Field of a JSON file: a text, or a list of texts.
    """

    file: str = "txt"
    per_line: bool = False
    field: str = "caption"

    def read(self, content: bytes, name: str) -> list[str]:
        r"""The captions, without white space around them.

        Args:
            content: Bytes of the file.
            name: Of the sample, for messages.

        Raises:
            BadCaptions: There is none, or the file can't be read.

        >>> CaptionFormat(per_line=True).read(b"a dog\na brown dog\n", "0.tar/1")
        ['a dog', 'a brown dog']
        >>> CaptionFormat("json").read(b'{"caption": ["a dog", "a brown dog"]}', "0.tar/1")
        ['a dog', 'a brown dog']
        """
        try:
            text = content.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise BadCaptions(name, "not UTF-8", f"byte 0x{content[error.start]:02x}") from None
        if self.file == "json":
            captions = self._from_json(text, name)
        else:
            captions = text.splitlines() if self.per_line else [text]
        kept = [stripped for caption in captions if (stripped := caption.strip())]
        if not kept:
            raise BadCaptions(name, "empty caption")
        return kept

    def _from_json(self, text: str, name: str) -> list[str]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadCaptions(name, "malformed JSON", str(error)) from None
        if not isinstance(document, dict) or document.get(self.field) is None:
            given = ", ".join(document) if isinstance(document, dict) else type(document).__name__
            raise BadCaptions(name, "no caption", f"no field {self.field!r}, only: {given}")
        value = document[self.field]
        captions = value if isinstance(value, list) else [value]
        if not all(isinstance(caption, str) for caption in captions):
            raise BadCaptions(name, "no caption", f"field {self.field!r} is no text and no list of texts")
        return captions
