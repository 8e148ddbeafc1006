"""The raw datasets of nnU-Net: imagesTr/CASE_0000, labelsTr/CASE, dataset.json, and imagesTs to predict."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from biounet.core.errors import DatasetError
from biounet.core.json_file import read_json
from biounet.core.problems import Problems
from biounet.core.text_file import ForeignRecord, TextFile
from biounet.data.dataset import Pair
from biounet.data.layout import Layout, Truth
from biounet.data.paired_files import file_in, folder_in
from biounet.io import CHANNELS, image_files, images_by_name, is_folder_of_images, plain_name

__all__ = ["NNUNET", "case_of"]


IMAGES = ("imagestr", "imagests", "imagesval")
"""Names of folders of images, of which the first is learnt from."""

LABELS = ("labelstr", "labelsts", "labelsval")
"""Names of the folders of their labels."""


def case_of(image: Path) -> Path:
    """Common name of the files of a case, of which one is given; any other image is itself.

    >>> case_of(Path("imagesTs/case_0001.png")).name, case_of(Path("images/case_0001.png")).name
    ('case_????.png', 'case_0001.png')
    """
    name = plain_name(image)
    if image.parent.name.lower() not in IMAGES or _channel(name) is None:
        return image
    return image.with_name(name[:-5] + CHANNELS + image.name[len(name) :])


def _pairs(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair ``imagesTr/CASE_0000.png``, ``CASE_0001.png``, ... with ``labelsTr/CASE.png``."""
    images, labels = folder_in(folder, IMAGES[0]), folder_in(folder, LABELS[0])
    if images is None or labels is None:
        return None
    told = _description(folder)
    cases, truth, ignore = _cases(images, problems), images_by_name(labels), _ignore(told)
    for name in sorted(cases.keys() - truth.keys()):
        problems.add(DatasetError(f"{cases[name]} has no labels; add {labels.name}/{name}{cases[name].suffix}"))
    for name in sorted(truth.keys() - cases.keys()):
        problems.add(DatasetError(f"{truth[name]} has no image; add {images.name}/{name}_0000{truth[name].suffix}"))
    both = sorted(cases.keys() & truth.keys())
    return [Pair(name, cases[name], (truth[name],), name, ignore=ignore) for name in both]


def _images(folder: Path) -> list[Path]:
    """List the cases of a dataset, or of one of its folders of images."""
    if not folder.is_dir():
        return []
    if folder.name.lower() in IMAGES:
        found = [folder] if all(_channel(plain_name(path)) is not None for path in image_files(folder)) else []
    else:
        parts = [folder_in(folder, name) for name in IMAGES] if folder_in(folder, IMAGES[0]) else []
        found = [part for part in parts if part is not None]
    return [path for part in found for _, path in sorted(_cases(part, Problems()).items())]


def _truths(folder: Path, result: Path) -> list[Truth]:
    """List the labels of a folder of labels; of a dataset, of each that any of the results belongs to, or of all."""
    alone = folder.name.lower() in LABELS
    whole = folder.parent if alone else folder
    if not whole.is_dir() or folder_in(whole, LABELS[0]) is None or folder_in(whole, IMAGES[0]) is None:
        return []
    folders = [folder] if alone else [labels for name in LABELS if (labels := folder_in(whole, name))]
    parts = [images_by_name(labels) for labels in folders]
    results = images_by_name(result).keys() if is_folder_of_images(result) else set()
    asked = [labels for labels in parts if results & labels.keys()] or parts
    ignore = _ignore(_description(whole))
    return [Truth(key=name, files=(path,), ignore=ignore) for labels in asked for name, path in labels.items()]


def _class_names(folder: Path) -> tuple[str, ...]:
    """Names of the classes in ``dataset.json``; none where these are regions of several numbers."""
    numbers = _numbers(_description(folder))
    names = {number: name for name, number in numbers.items() if name != "ignore"}
    return tuple(names[number] for number in sorted(names)) if sorted(names) == list(range(len(names))) else ()


def _notes(pairs: Sequence[Pair]) -> list[str]:
    """Say which numbers are unknown, and that regions are not learnt."""
    folder = pairs[0].image.parents[1]
    told, notes = _description(folder), []
    if pairs[0].ignore is not None:
        notes.append(f"{pairs[0].ignore} is unknown in the labels, as dataset.json says")
    if any(isinstance(number, list) for number in told.get("labels", {}).values()):
        notes.append("dataset.json has regions of several numbers: each number is learnt as a class of its own")
    spacing = pairs[0].spacing or ()
    if len(spacing) == len(set(spacing)) + 1 == 3 and spacing[0] == spacing[1] and _has_spacing(pairs[0].image):
        listed = ", ".join(f"{step:g}" for step in spacing)
        notes.append(
            f"the spacing {listed} beside {pairs[0].image.name} is read as z, y, x, as the code of nnU-Net does; its "
            "documentation says x, y, z: turn the numbers round if they were written so"
        )
    if (test := folder_in(folder, IMAGES[1])) is not None:
        notes.append(f"the images of {test.name} are neither trained on nor validated on; predict {test}")
    return notes


NNUNET = Layout(
    name="nnU-Net",
    sign="imagesTr and labelsTr",
    pairs=_pairs,
    images=_images,
    truths=_truths,
    class_names=_class_names,
    notes=_notes,
)
"""Cases with a file for each channel, and labels of classes that dataset.json names."""


def _cases(images: Path, problems: Problems) -> dict[str, Path]:
    """Cases of a folder, each with the common name of the files of its channels."""
    files: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in image_files(images):
        name, channel = plain_name(path), _channel(plain_name(path))
        if channel is None:
            problems.add(
                DatasetError(f"{path}: its name must end in the number of a channel, as {name}_0000; rename it")
            )
        else:
            files[name[:-5]][channel] = path
    count = max(map(len, files.values()), default=0)
    cases = {}
    for case, channels in files.items():
        missing = [number for number in range(count) if number not in channels]
        first = next(iter(channels.values()))
        if missing:
            problems.add(
                DatasetError(f"{images}: channel {missing[0]} is missing, add {case}_{missing[0]:04}{first.suffix}")
            )
        else:
            cases[case] = case_of(first)
    return cases


def _has_spacing(image: Path) -> bool:
    """Whether a file beside a case has its spacing."""
    return image.with_name(f"{plain_name(image)}.json").is_file()


def _channel(name: str) -> int | None:
    """Number of the channel at the end of a name."""
    found = re.search(r"_(\d{4})$", name)
    return int(found[1]) if found else None


class _Description(ForeignRecord):
    """What ``dataset.json`` holds, as far as it is used."""

    labels: dict[str, Any] = Field(default_factory=dict)
    """Names with their numbers."""


def _description(folder: Path) -> Mapping[str, Any]:
    """What ``dataset.json`` says; nothing if there is none."""
    path = file_in(folder, "dataset.json")
    if path is None:
        return {}
    return read_json(path, _Description, TextFile(str(path), DatasetError, "correct it or move it away")).model_dump()


def _numbers(told: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of labels by name, also of older files, which name the numbers; none where there are regions."""
    labels = told.get("labels", {})
    if labels and all(str(key).isdecimal() for key in labels):
        return {str(name): int(number) for number, name in labels.items()}
    return dict(labels) if all(type(number) is int for number in labels.values()) else {}


def _ignore(told: Mapping[str, Any]) -> int | None:
    """Number of the label ``ignore``."""
    number = told.get("labels", {}).get("ignore")
    return number if type(number) is int else None
