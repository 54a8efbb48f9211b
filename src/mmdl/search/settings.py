"""What an index depends on besides the images."""

from __future__ import annotations

from typing import Any, NamedTuple

from mmdl.search.folder import Index

IDENTITY = ("run", "weights", "model", "image_size", "resize")
"""What of `made_by` must be equal for embeddings to be comparable."""

EXACT_BELOW = 1_000_000
"""So many images of 512 numbers are compared one by one in about 4 s on one core; from here on `auto` takes faiss."""


class Settings(NamedTuple):
    """What an index depends on besides the images.

    Attributes:
        made_by: Run, weights and view of the images, as plain values: other ones make a new index.
        dtype: `float32`, `float16`, or `auto`: as it was, else float32.
        backend: `exact`, `faiss`, or `auto`: as it was, else exact below `EXACT_BELOW` images.
        skip_bad: Leave out what can't be used; False stops at it.
    """

    made_by: dict[str, Any]
    dtype: str = "auto"
    backend: str = "auto"
    skip_bad: bool = True

    def resolved(self, old: Index | None, count: int) -> Settings:
        """The same without `auto`.

        Args:
            old: The index that is there.
            count: Images.
        """
        dtype = (
            self.dtype if self.dtype != "auto" else "float32" if old is None else str(old.embeddings.dtype)
        )
        backend = self.backend
        if backend == "auto":
            from mmdl.search.faiss_index import is_installed

            was_faiss = old is not None and old.facts["backend"] == "faiss"
            is_large = count >= EXACT_BELOW
            backend = "faiss" if (was_faiss or is_large) and is_installed() else "exact"
        return self._replace(dtype=dtype, backend=backend)
