"""The commands `biounet evaluate` and `biounet measure`: scores and tables of results."""

from pathlib import Path
from typing import Annotated

import typer

from biounet.cli.options import Axes, IgnoreValue, Overwrite, channel_numbers
from biounet.core.errors import DatasetError

__all__ = ["evaluate", "measure"]


def evaluate(
    result: Annotated[Path, typer.Argument(help="File or folder of results.")],
    truth: Annotated[Path, typer.Argument(help="File or folder of annotations, or a dataset.")],
    *,
    metrics: Annotated[str | None, typer.Option(help="isbi2012, overlap, objects, ctc, ...; with commas.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the scores here, too.")] = None,
    per_image: Annotated[Path | None, typer.Option(help="Write a CSV with a row per image.")] = None,
    sections: Annotated[str | None, typer.Option(help="Sections of a stack, as in 20:24.")] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|IMAGES", help="Score groups, too: columns name,group; or grey and colour images."
        ),
    ] = None,
    report: Annotated[bool | None, typer.Option(help="Write evaluation.html; on for folders.")] = None,
    image: Annotated[Path | None, typer.Option(help="Image, or folder, that the page shows the results on.")] = None,
    ignore_value: IgnoreValue = None,
    axes: Axes = None,
    series: Annotated[str | None, typer.Option(help="Number, from 0, or name of an image in files of truth.")] = None,
    channel: Annotated[int | None, typer.Option(min=0, help="Channel of the results, from 0.")] = None,
    level: Annotated[int, typer.Option(min=0, help="Level of a pyramid of truth; 0 has all pixels.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Score results against annotations."""
    from biounet.cli.early import check_files, check_output

    check_files([result, truth, groups, image], DatasetError)
    for path in (json_, per_image):
        if path is not None:
            check_output(path, file=True)
    from biounet.cli.evaluate import run_evaluation

    run_evaluation(
        result,
        truth,
        metrics=metrics,
        json_file=json_,
        csv_file=per_image,
        sections=sections,
        groups=groups,
        report=report,
        images=image,
        ignore_value=ignore_value,
        axes=axes,
        series=series,
        channel=channel,
        level=level,
        overwrite=overwrite,
    )


def measure(
    labels: Annotated[Path, typer.Argument(help="Label image, or folder of label images.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for objects.csv, counts.csv and all else.")],
    image: Annotated[Path | None, typer.Option(help="Image, or folder, to measure intensities in.")] = None,
    probabilities: Annotated[Path | None, typer.Option(help="File or folder, for the confidence of objects.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model of the probabilities: tells if they are classes.")] = None,
    axes: Annotated[str | None, typer.Option(help="Axes of the labels in the order of the files, as in TYX.")] = None,
    series: Annotated[str | None, typer.Option(help="Number, from 0, or name of an image in files of --image.")] = None,
    channel: Annotated[str | None, typer.Option(help="Channels of --image to measure, from 0, as in 0,2.")] = None,
    level: Annotated[int, typer.Option(min=0, help="Level of a pyramid of --image; 0 has all pixels.")] = 0,
    by_section: Annotated[bool, typer.Option("--by-section", help="Sections of a stack are single images.")] = False,
    split: Annotated[bool, typer.Option("--split", help="Number the pieces of objects apart.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Write pictures of outlines and numbers.")] = False,
    rois: Annotated[bool, typer.Option("--rois", help="Write outlines for ImageJ and Fiji.")] = False,
    annotate: Annotated[int, typer.Option(min=0, help="List so many regions worth annotating next.")] = 0,
    region: Annotated[int, typer.Option(min=1, help="Pixels per side of such a region.")] = 256,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure objects: a table, counts, pictures, and outlines for ImageJ."""
    from biounet.cli.early import check_files, check_output

    check_files([labels, image, probabilities, model], DatasetError)
    check_output(out)
    from biounet.cli.measure import run_measurement
    from biounet.io import Selection

    selection = Selection(None, series, channel_numbers(channel), level)
    run_measurement(
        labels, out, image=image, probabilities=probabilities, model=model, axes=axes, selection=selection,
        by_section=by_section, split=split, pictures=pictures, rois=rois, annotate=annotate, region=region,
        ignore_value=ignore_value, overwrite=overwrite,
    )  # fmt: skip
