"""U-Net for microscopy: train on a few annotated images, predict images of any size, score as the field does."""

__version__ = "0.1.0"
