"""Embedded data: scenes of shapes with captions, questions and answers in the official formats."""

from mmdl.data.shapes.draw import render
from mmdl.data.shapes.generate import generate_shapes
from mmdl.data.shapes.scene import Scene, SceneObject

__all__ = ["Scene", "SceneObject", "generate_shapes", "render"]
