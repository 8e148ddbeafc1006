"""The page of `biounet predict`: where it goes, and its writing."""

from collections.abc import Mapping
from pathlib import Path

from biounet.cli.progress import progress, say
from biounet.core.atomic_files import check_absent
from biounet.core.errors import BatchError, ConfigError
from biounet.io import root_of
from biounet.models.model_file import ModelCard

__all__ = ["page_of", "write_prediction_page"]


def page_of(
    card: ModelCard,
    pairs: list[tuple[Path, Path]],
    *,
    report: bool | None,
    save: str,
    overwrite: bool,
    resume: bool,
) -> Path | None:
    """The page that is to be written: where it is asked for, and for folders of objects where no page is yet.

    `pairs` are the images and their results.
    """
    if report is False:
        return None
    page = root_of(pairs[0][1]).parent / "report.html"
    numbered = card.task.saves_objects(save)
    if report is None:
        free = not page.exists() or overwrite or resume
        return page if numbered and len(pairs) > 1 and free else None
    if not numbered:
        raise ConfigError("--report counts objects, which this prediction has none of; leave it out")
    check_absent(page, overwrite=overwrite or resume, file=True)
    return page


def write_prediction_page(
    page: Path,
    pairs: list[tuple[Path, Path]],
    failed: BatchError | None,
    *,
    unlike: Mapping[Path, str],
    axes: str | None,
    measured: bool,
) -> None:
    """Write the page of a prediction, and say where it is; `unlike` is that of `find_unlike`."""
    from biounet.report.prediction_report import write_prediction_report

    notes = [] if failed is None else [str(failed)]
    with progress("writing the report") as show:
        answer = write_prediction_report(
            page,
            pairs,
            title=f"Objects in {page.parent.name or page.parent.resolve().name}",
            axes=axes,
            unlike=unlike,
            notes=notes,
            measured=measured,
            progress=lambda share: show(share, ""),
        )
    say(f"{answer.sentence}; look at {page}")
