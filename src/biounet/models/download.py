"""Download of public weights: resumed after a broken transfer, checked by SHA-256, written as safetensors."""

import hashlib
import http.client
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from safetensors.torch import save

from biounet.core.atomic_files import check_absent, replacing, sayable
from biounet.core.errors import ConfigError, DownloadError
from biounet.core.places import check_input

__all__ = ["SOURCES", "Source", "download"]


Progress = Callable[[float, str], None]
CHUNK = 2**20
TIMEOUT = 60.0  # seconds without a byte
ATTEMPTS = 3  # connections for one file, each going on where the one before broke


@dataclass(frozen=True)
class Source:
    """Address, SHA-256 and licence of a public file of weights.

    Parameters
    ----------
    url : address of a state dict as torch saves it
    sha256 : the first digits of its SHA-256, or all
    terms : licence, and whose work it is
    """

    url: str
    sha256: str
    terms: str


_TERMS = "torchvision, BSD 3-Clause; trained on ImageNet, whose images are for research and education"

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        name: Source(f"https://download.pytorch.org/models/{name}-{digits}.pth", digits, _TERMS)
        for name, digits in (
            ("vgg11", "8a719046"),
            ("vgg11_bn", "6002323d"),
            ("vgg16", "397923af"),
            ("vgg16_bn", "6c64b313"),
        )
    }
)
"""Weights of VGG classifiers. The files carry the first eight digits of their SHA-256 in their names."""


def download(
    name: str,
    folder: Path,
    *,
    origin: str | None = None,
    sources: Mapping[str, Source] = SOURCES,
    overwrite: bool = False,
    progress: Progress = lambda share, text: None,
) -> Path:
    """Fetch weights, or take a file of them, and write them as ``NAME.safetensors``.

    Parameters
    ----------
    name : key of `sources`
    folder : Path
        Made if it is missing. What has arrived stays there as ``*.part`` until it is whole, so that a second
        try goes on from there.
    origin : path or http address
        Where the same file is, if it is not to come from its source; a file stays as it is.
    sources : by name
    overwrite : bool
        Whether a file of that name may be replaced.
    progress : (share in [0, 1], a few words) -> None

    Returns
    -------
    Path
        The file: names, shapes and values of the tensors are those of the source.

    Raises
    ------
    ConfigError
        If there is no such name.
    DownloadError
        If the file is missing, the address cannot be reached, the transfer breaks, or what arrived is not what was
        wanted.
    OutputError
        If the file exists already, or the disk is full.
    """
    if name not in sources:
        raise ConfigError(f"download must be one of {', '.join(sources)}, got {name!r}")
    source, path = sources[name], folder / f"{name}.safetensors"
    check_absent(path, overwrite=overwrite)
    if origin is not None and not origin.startswith(("http://", "https://")):
        if os.path.lexists(origin):
            check_input(Path(origin), DownloadError)
        try:
            _convert(Path(origin), path, source, overwrite=overwrite)
        except _WrongFileError as error:
            raise DownloadError(f"{origin} {error}; give the file of {source.url}") from error
        return path
    with sayable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    url, part = origin or source.url, folder / f"{source.url.rpartition('/')[2]}.part"
    _fetch_whole(url, part, progress)
    try:
        _convert(part, path, source, overwrite=overwrite)
    except _WrongFileError as error:
        part.unlink()
        advice = "the file was removed: run again, and if that does not help do not trust the address"
        raise DownloadError(f"{url} {error}; {advice}") from error
    part.unlink()
    return path


class _BrokenTransferError(DownloadError):
    """A transfer that broke and can be resumed."""


class _WrongFileError(DownloadError):
    """A file with other content than the published one; the message lacks the name of the file."""


def _fetch_whole(url: str, part: Path, progress: Progress) -> None:
    """Fetch a whole file, resuming after each broken connection."""
    for attempt in range(ATTEMPTS):
        try:
            _fetch(url, part, progress)
            break
        except _BrokenTransferError:
            if attempt == ATTEMPTS - 1:
                raise


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """Fetch the missing end of a file, over one connection."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={have}-"} if have else {}), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the file is complete; its SHA-256 is compared later
        advice = "try later, or get the file by hand and give it with --from FILE"
        raise DownloadError(f"{url} answers {error.code} {error.reason}; {advice}") from error
    except (URLError, http.client.HTTPException, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        advice = "check the network and run again, or get the file by hand and give it with --from FILE"
        raise DownloadError(f"{url} cannot be reached ({why}); {advice}") from error
    with response:
        if response.status != http.client.PARTIAL_CONTENT:  # a server that begins at the beginning
            have = 0
        total = have + int(response.headers.get("Content-Length") or 0)
        with sayable(part), part.open("ab" if have else "wb") as stream:
            for chunk in _chunks(response, url):
                stream.write(chunk)
                have += len(chunk)
                progress(min(1.0, have / max(total, have)), f"{have >> 20} of {max(total, have) >> 20} MiB")
    if have < total:
        raise _BrokenTransferError(f"{url} broke off after {have} of {total} bytes; run again, it goes on from there")


def _chunks(response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    """Chunks of bytes of a response, until it ends or breaks."""
    try:
        while chunk := response.read(CHUNK):
            yield chunk
    except http.client.IncompleteRead as error:
        yield error.partial
    except (http.client.HTTPException, OSError) as error:
        why = str(error) or type(error).__name__
        raise _BrokenTransferError(f"{url} broke off ({why}); run again, it goes on from there") from error


def _verify(file: Path, source: Source) -> None:
    """Compare the SHA-256 of a file with the one that was published."""
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _WrongFileError(f"cannot be read ({error.strerror or error})") from error
    if not digest.startswith(source.sha256):
        said = digest[: max(8, len(source.sha256))]
        raise _WrongFileError(f"has the SHA-256 {said}..., wanted {source.sha256}...")


def _convert(file: Path, path: Path, source: Source, *, overwrite: bool) -> None:
    """Write a state dict as safetensors. Nothing but tensors is unpickled, here and nowhere else."""
    _verify(file, source)
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
        tensors = {name: value.detach().contiguous() for name, value in weights.items()}
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, TypeError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise _WrongFileError(f"holds no state dict of tensors ({why})") from error
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(tensors, {"source": source.url, "terms": source.terms}))
