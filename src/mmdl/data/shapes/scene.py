"""Scenes of the shapes data set: what is in the picture, before anything is drawn or asked.

Lengths are integers on a canvas of `CANVAS` x `CANVAS` units, x to the right and y down, so that a scene can
be rendered at any size and is the same on every platform.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmdl.data.shapes.draws import Draws
from mmdl.errors import UserError, nearest

CANVAS = 512
"""Side of the canvas in units; 8 units are a pixel at the default image size of 64."""
SHAPES = ("circle", "square", "triangle")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "pink", "black")
SIZES = ("small", "large")
PATTERNS = ("solid", "striped", "hollow")
RADII = {"small": (52, 56), "large": (84, 88)}
"""Radii in canvas units that a size may have: far enough apart to be told from each other at sight."""
BACKGROUNDS = (210, 220, 230, 240)
"""Grey levels of the background, 0 to 255."""
EXTENT = 1120
"""No shape reaches further from its centre than this many thousandths of its radius."""

_GRID = 8  # positions are whole pixels at the default size: one sprite serves all positions
_GAP = 24  # > 2 * (EXTENT / 1000 - 1) * largest radius, so circles of the radii apart means shapes apart
_CHOICES = {"shape": SHAPES, "color": COLORS, "size": SIZES, "pattern": PATTERNS}


@dataclass(frozen=True, slots=True, order=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        shape: One of `SHAPES`.
        color: One of `COLORS`.
        size: One of `SIZES`.
        pattern: One of `PATTERNS`.
        x: Centre, canvas units from the left edge.
        y: Centre, canvas units from the top edge.
        radius: Canvas units; `RADII[size]` lists the customary ones.

    Raises:
        UserError: An attribute is none of the known ones.
    """

    shape: str
    color: str
    size: str
    pattern: str
    x: int
    y: int
    radius: int

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UserError(f"unknown {name} {value!r} of a scene object", valid=nearest(value, choices))


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects on a plain background.

    Attributes:
        objects: The objects; none overlaps another in a sampled scene.
        background: Grey level of the background, 0 to 255.

    >>> dot = SceneObject("circle", "red", "small", "solid", x=256, y=256, radius=52)
    >>> Scene((dot,)).objects[0].color
    'red'
    """

    objects: tuple[SceneObject, ...]
    background: int = 230

    def signature(self) -> tuple[SceneObject, ...]:
        """What makes two scenes the same: the set of objects with attributes and positions."""
        return tuple(sorted(self.objects))


def sample_scene(draws: Draws, min_objects: int, max_objects: int) -> Scene:
    """A random scene without overlaps.

    Colours and shapes repeat more often than by chance (an object copies an earlier one's in a part of the
    cases), so that counts above one are common enough to balance the counting questions.

    Args:
        draws: Source of randomness.
        min_objects: Fewest objects, >= 1.
        max_objects: Most objects, <= 6.
    """
    count = min_objects + draws.below(max_objects - min_objects + 1)
    background = draws.choice(BACKGROUNDS)
    colors: list[str] = []
    shapes: list[str] = []
    for _ in range(count):
        colors.append(_urn(draws, colors, COLORS, copy_percent=28))
        shapes.append(_urn(draws, shapes, SHAPES, copy_percent=15))
    patterns = [draws.choice(PATTERNS) if draws.chance(30) else "solid" for _ in range(count)]
    while True:
        sizes = [draws.choice(SIZES) for _ in range(count)]
        radii = [draws.choice(RADII[size]) for size in sizes]
        places = _places(draws, radii)
        if places is not None:
            break
    rows = zip(shapes, colors, sizes, patterns, places, radii, strict=True)
    return Scene(tuple(SceneObject(a, b, c, d, x, y, r) for a, b, c, d, (x, y), r in rows), background)


def _urn(draws: Draws, earlier: list[str], choices: tuple[str, ...], copy_percent: int) -> str:
    if earlier and draws.chance(copy_percent):
        return draws.choice(earlier)
    return draws.choice(choices)


def _places(draws: Draws, radii: list[int]) -> list[tuple[int, int]] | None:
    """Centres at which circles of `radii` keep their distance, or None where tries ran out."""
    places: list[tuple[int, int]] = []
    for radius in radii:
        margin = -(-(radius * EXTENT // 1000 + 1) // _GRID) * _GRID
        steps = (CANVAS - 2 * margin) // _GRID + 1
        for _ in range(40):
            x, y = margin + _GRID * draws.below(steps), margin + _GRID * draws.below(steps)
            if all(
                (x - u) ** 2 + (y - v) ** 2 >= (radius + other + _GAP) ** 2
                for (u, v), other in zip(places, radii, strict=False)
            ):
                places.append((x, y))
                break
        else:
            return None
    return places
