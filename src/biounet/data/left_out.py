"""Files of a folder that are no images here: how many, of which suffixes, and why they are left out."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from biounet.io import is_image
from biounet.io.ome_tiff import parts_of_others

__all__ = ["left_out", "unread_images"]


MAKERS = {
    ".czi": "Zeiss",
    ".dcm": "DICOM",
    ".dv": "DeltaVision",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".ims": "Imaris",
    ".lif": "Leica",
    ".mrc": "MRC",
    ".mrxs": "3DHistech",
    ".nd2": "Nikon",
    ".ndpi": "Hamamatsu",
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".npy": "numpy",
    ".npz": "numpy",
    ".nrrd": "NRRD",
    ".oib": "Olympus",
    ".oif": "Olympus",
    ".vsi": "Olympus",
    ".webp": "WebP",
}
"""Suffixes of images in formats that may not be read here -> whose format it is."""

NAMED = 3
"""Number of files that are named."""


def unread_images(folder: Path) -> dict[str, Path]:
    """Images of a folder in formats that are not read here, by their names without suffix."""
    files = (path for path in sorted(folder.iterdir()) if _maker(path) and not is_image(path))
    return {path.name[: -len(_suffix(path))]: path for path in files}


def left_out(folders: Iterable[Path]) -> list[str]:
    """Lines about the files of folders that are not read by themselves: of other formats, no images, parts of images.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.tif", "b.xyz", "notes.txt"):
    ...     (folder / name).touch()
    >>> left_out([folder])[0].partition(": ")[2]
    '2 files are left out: b.xyz, notes.txt (.txt, .xyz: no images)'
    """
    lines = []
    for folder in folders:
        files = sorted(folder.iterdir())
        parts_of_images = parts_of_others(files)
        groups: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            if path in parts_of_images:
                groups["parts of the image of another file"].append(path)
            elif _counts(path):
                groups["of formats that are not read here" if _maker(path) else "no images"].append(path)
        count = sum(map(len, groups.values()))
        if not count:
            continue
        parts = [f"{_listed(files)} ({_suffixes(files)}: {why})" for why, files in groups.items()]
        many = f"{count} files are" if count > 1 else "1 file is"
        lines.append(f"{folder}: {many} left out: {'; '.join(parts)}")
    return lines


def _counts(path: Path) -> bool:
    """Whether a path is a file that somebody may take for an image, or look for; not what lies beside images."""
    beside = path.name.startswith(".") or path.suffix.lower() in (".ini", ".json")
    return not beside and not is_image(path) and path.is_file()


def _suffix(path: Path) -> str:
    """End of the name that says what is in the file."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix


def _maker(path: Path) -> str:
    """Whose format it is; empty if that is unknown."""
    return MAKERS.get(_suffix(path).lower(), "")


def _listed(files: list[Path]) -> str:
    """Names of the first files, and how many others there are."""
    names = ", ".join(path.name for path in files[:NAMED])
    return names if len(files) <= NAMED else f"{names} and {len(files) - NAMED} others"


def _suffixes(files: list[Path]) -> str:
    """Suffixes of files, and the makers of their formats."""
    found = {_suffix(path).lower(): _maker(path) for path in files}
    return ", ".join(" ".join(filter(None, [suffix or "no suffix", maker])) for suffix, maker in sorted(found.items()))
