"""Images and their captions while a file of them is read: checked, joined, and at the end an index."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from mmdl.data.caption_index import CaptionIndex, Id
from mmdl.data.readers.bad_samples import BadSamples, Problem, check_caption
from mmdl.data.readers.image_files import missing_files
from mmdl.data.transforms.image import BadImage, load_image

LOOKED_AT = 500
"""Images that are decoded where a file has bad samples anyway, so that all that is wrong is said at once."""


class _Image:
    """One image; slots, since there may be a million."""

    __slots__ = ("captions", "image_id", "mentioned", "path", "refused", "where")

    def __init__(self, where: str, image_id: Id, path: str) -> None:
        self.where = where
        self.image_id = image_id
        self.path = path
        self.captions: dict[tuple[Hashable, str], None] = {}
        self.mentioned = False
        self.refused = False


class CollectedCaptions:
    """Takes images and captions in any order of the file, images first.

    An image that is given twice is one image, and so is a caption; both are counted. An id that is given to two files
    is a bad sample, since nobody can say which of them its captions describe.

    Args:
        bad: Takes what is wrong.
    """

    def __init__(self, bad: BadSamples) -> None:
        self.bad = bad
        self.joined = 0
        self._images: dict[str, _Image] = {}

    def add_image(self, where: str, image_id: Id, path: str, joins: bool = False) -> None:
        """Note an image.

        Args:
            where: Its place in the file.
            image_id: An integer or a string.
            path: Relative to the folder of images, or absolute.
            joins: Several lines with one image are the format, and no duplicates.
        """
        known = self._images.get(str(image_id))
        if known is None:
            self._images[str(image_id)] = _Image(where, image_id, path)
        elif known.path == path:
            self.joined += not joins
        else:
            detail = f"{image_id!r} is {known.path} at {known.where}, and {path} here"
            self.bad.add(where, Problem("duplicate image id", detail))
            known.refused = True

    def refuse(self, where: str, image_id: Id, problem: Problem) -> None:
        """Note that an image has captions at a place, and that they can't be used.

        Args:
            where: Their place in the file.
            image_id: Of the image.
            problem: What is wrong with them.
        """
        self.bad.add(where, problem)
        self._images[str(image_id)].mentioned = True

    def add_caption(
        self,
        where: str,
        image_id: Id,
        sample: Mapping[str, Any],
        entry: Hashable = None,
        key: str = "caption",
    ) -> None:
        """Note a caption.

        Args:
            where: Its place in the file.
            image_id: Of its image.
            sample: Holds the caption.
            entry: Tells entries apart: two persons may write the same words. None: equal words are one caption.
            key: Of the caption in `sample`.
        """
        image = self._images.get(str(image_id))
        if image is None:
            self.bad.add(where, Problem("caption of an unknown image", f"image {image_id!r}"))
            return
        image.mentioned = True
        problem = check_caption(sample, key)
        if problem is not None:
            self.bad.add(where, problem)
            return
        caption = (entry, sample[key])
        self.joined += caption in image.captions
        image.captions[caption] = None

    def finish(self, total: int, root: str | os.PathLike[str], check_images: bool = True) -> CaptionIndex:
        """The index of what is good.

        Args:
            total: Number of samples in the file, good and bad.
            root: Folder of the images.
            check_images: Whether each file must exist.

        Raises:
            UserError: There are bad samples and the policy is `raise`, or nothing is left.
        """
        images = [image for image in self._images.values() if not image.refused]
        for image in images:
            # where a bad caption was the only one, raising names the caption, and skipping counts the image too
            if not image.captions and (self.bad.policy == "skip" or not image.mentioned):
                detail = f"image {image.image_id!r}"
                self.bad.add(image.where, Problem("image without caption", detail))
        images = [image for image in images if image.captions]
        if check_images:
            missing = missing_files(root, {image.path for image in images})
            for image in images:
                if image.path in missing:
                    self.bad.add(image.where, Problem("missing image", os.path.join(root, image.path)))  # noqa: PTH118
            images = [image for image in images if image.path not in missing]
            if self.bad.counts and self.bad.policy == "raise":
                self._look_at(images[:LOOKED_AT], root)
        skipped = self.bad.finish(total, left=len(images))
        return CaptionIndex(
            [image.image_id for image in images],
            [image.path for image in images],
            [[text for _, text in image.captions] for image in images],
            root,
            skipped,
            joined=self.joined,
        )

    def _look_at(self, images: Sequence[_Image], root: str | os.PathLike[str]) -> None:
        """Note those of the images that can't be decoded."""
        for image in images:
            try:
                load_image(os.path.join(root, image.path), 32, "squash")  # noqa: PTH118
            except BadImage as error:
                self.bad.add(image.where, Problem(error.reason, error.given))
