"""mmdl: train, evaluate and compare image and image-text models."""

__version__ = "0.1.0"
