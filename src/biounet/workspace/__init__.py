"""Workspace: a folder of images that a person labels while a network learns from the labels; no HTTP, no windows.

What lies where, in the folder that was opened::

    images/NAME.tif             read, never written (or the images lie in the folder itself)
    labels/NAME.tif             what was drawn, as `biounet train` reads it; unknown is negative
    run-1/, run-2/              finished models: ordinary run folders
    .biounet/edits/NAME.journal every edit, on the disk before it counts as done
    .biounet/levels/            smaller copies of large images
    .biounet/live/              the network that learns: checkpoints, predictions on their way
    .biounet/originals/         label files of others, before ours took their place
    .biounet/scores.csv         each prediction against what was then drawn
    .biounet/project.json       what labels mean

Which file does what, and who calls whom (a file calls those to the right of its arrow)::

    workspace  -> project, keeper, predictions, doubtful, scores, take_away, trainer_process
    project    -> planes (pixels, at any level; pyramid), label_store (labels, with undo), runs (what became of them)
    label_store-> edits (what an edit does), label_tiles (sparse, compressed), journal, label_file (TIFF)
    keeper     -> label files are written when the hand rests, changes of other programs and lost images noticed
    trainer    -> learner -> examples -> project;  trainer -> finish     (a process of its own)

One process writes labels: the one with the `Workspace`. The process that learns (``python -m`` with `trainer`) opens
the same folder, follows the journals, and never writes labels. The two talk in lines of JSON: orders go to its
standard input (``look``, ``pause``, ``finish``), events come from its standard output (``state``, ``step``,
``prediction``, ``run``). It ends at most 20 s after its input does, so it does not outlive its
owner. Learning calls the pieces of `biounet.training`: `choose_settings`, `PatchSampler`, `train_step`; there is no
second recipe. What differs is that the learning rate is constant and the running average short, since nobody knows
how long it will go on.

Pixels are unknown, and teach nothing, until they are painted, or their region is marked as finished: then what is
left of it is background. A version counts the edits of an image; an edit of a version that is not the last is
refused, so that two pages never overwrite each other. Undo is an edit, too. Score: before a pixel is labelled for the
first time, what was predicted for it is kept beside it; the two are compared, whatever the network learns after.
"""

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
