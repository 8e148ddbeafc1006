"""Workspace: a folder of images that a person labels while a network learns from the labels; no HTTP, no windows."""

from biounet.workspace.edit import Edit, Plane, Region
from biounet.workspace.keeper import labels_event
from biounet.workspace.label_store import Applied, ConflictError
from biounet.workspace.label_tiles import SIDE
from biounet.workspace.planes import ImagePlanes, NotReadyError
from biounet.workspace.predictions import Predictions
from biounet.workspace.project import Project, ProjectImage
from biounet.workspace.take_away import TAKE_AWAY
from biounet.workspace.workspace import Workspace

__all__ = [
    "SIDE",
    "TAKE_AWAY",
    "Applied",
    "ConflictError",
    "Edit",
    "ImagePlanes",
    "NotReadyError",
    "Plane",
    "Predictions",
    "Project",
    "ProjectImage",
    "Region",
    "Workspace",
    "labels_event",
]
