"""The command `biounet predict`: files predicted here or on workers, with the plan and the progress shown."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from biounet.cli.options import size_of_objects
from biounet.cli.predict_page import page_of, write_prediction_page
from biounet.cli.predict_pictures import pictures_of, write_pictures
from biounet.cli.predict_unlike import find_unlike
from biounet.cli.progress import progress, say
from biounet.cli.signals import stop_when_told
from biounet.core.atomic_files import remove_parts
from biounet.core.errors import BatchError, ConfigError
from biounet.core.memory import parse_bytes
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.words import counted
from biounet.data.results import name_outputs
from biounet.inference.cluster import join_scheduler, local_workers
from biounet.inference.ensemble import member_files
from biounet.inference.files import predict_files, run_here
from biounet.inference.job import JobSettings, as_trained
from biounet.inference.measured_size import measure_diameters, tell_scaled
from biounet.inference.object_size import Sizes
from biounet.io import DecodingRoom, Selection, root_of
from biounet.io.identity import FileIdentity, check_unchanged
from biounet.models.model_file import ModelCard, read_card

__all__ = ["run_prediction"]


def run_prediction(
    model: Path,
    inputs: list[Path],
    out: Path,
    *,
    memory: str,
    workers: int | None,
    scheduler: str | None,
    table: bool = False,
    report: bool | None = None,
    pictures: bool | None = None,
    **options: Any,
) -> list[Path]:
    """Predict files as `biounet.inference.predict_files` does, here or on workers; with `table`, measure objects."""
    if workers is not None and scheduler is not None:
        raise ConfigError("give either --workers or --scheduler, not both")
    for name, value in (("--workers", workers), ("--tile", options["tile"]), ("--batch", options["batch"])):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    budget, processes = parse_bytes(memory), workers or 1
    options["diameter"] = size_of_objects(options["diameter"])
    where = _computer(scheduler, processes)
    chosen = {name: options[name] for name in ("save", "overwrite", "resume")}
    # Once, and before anything is written: results may lie in a folder that is predicted.
    pairs = name_outputs(inputs, out, save=options["save"], as_one=options["series"] is not None)
    card = read_card(member_files(model)[0])
    page = page_of(card, pairs, report=report, **chosen)
    drawn = pictures_of(card, pairs, pictures=pictures, **chosen)
    options |= {"memory": budget, "processes": processes, "confidence": table, "diameters": {}}
    if table:
        _check_labels(model, card, options["save"])
    tables = _tables_beside(pairs[0][1]) if table else []
    beside = [*tables, *([page] if page is not None else [])]
    replace = options["overwrite"] or options["resume"]
    with stop_when_told(), holding(beside):
        for path in tables:
            Inputs({}).check(path, overwrite=replace, kind="table")
        remove_parts(beside)
        identities = _identities(pairs) if beside or drawn else {}
        written, failed, unlike = _predict(model, card, inputs, out, where, pairs, **options)
        if table:
            _write_tables(card, pairs, written, options, unlike, failed=failed is not None)
        numbered = card.task.saves_objects(options["save"])
        _tell_result(out, written, measurable=numbered and not table)
        done = _among(pairs, written)
        if drawn and done:
            write_pictures(done, drawn, numbered=numbered, selection=_selection(card, options), replace=replace)
        if page is not None and done:
            write_prediction_page(page, done, failed, unlike=unlike, axes=options["axes"], measured=table)
        _check_images(done, identities)
    if failed is not None:
        raise failed
    return written


def _computer(scheduler: str | None, processes: int) -> Any:
    """Where tiles are computed: the context of a `biounet.inference.files.Run`."""
    if scheduler is not None:
        return join_scheduler(scheduler)
    return local_workers(processes) if processes > 1 else nullcontext(run_here)


def _identities(pairs: list[tuple[Path, Path]]) -> dict[Path, FileIdentity]:
    """What the images are before they are predicted, since tables, pictures and the page read them again."""
    return {image: FileIdentity.of(image) for image, _ in pairs}


def _check_images(done: list[tuple[Path, Path]], identities: dict[Path, FileIdentity]) -> None:
    """Refuse to go on with images that changed since before they were predicted."""
    for image, _ in done:
        if image in identities:
            check_unchanged(image, identities[image], verb="predicted", remedy="run again with --overwrite")


def _among(pairs: list[tuple[Path, Path]], written: list[Path]) -> list[tuple[Path, Path]]:
    """Images and results that were written."""
    done = set(written)
    return [pair for pair in pairs if pair[1] in done]


def _tell_result(out: Path, written: list[Path], *, measurable: bool) -> None:
    """Say what was written, and what can be done with it."""
    measure = shlex.join(["biounet", "measure", str(out)])
    more = f"; measure them: {measure} --out TABLES" if measurable and written else ""
    say(f"{counted(len(written), 'image')} predicted: {out}{more}")


def _predict(
    model: Path,
    card: ModelCard,
    inputs: list[Path],
    out: Path,
    where: Any,
    pairs: list[tuple[Path, Path]],
    **options: Any,
) -> tuple[list[Path], BatchError | None, dict[Path, str]]:
    """Predict files; return those written, the error of those that cannot be read, and in what images are unlike."""
    written: list[Path]
    failed: BatchError | None
    if not isinstance(where, nullcontext):  # another command that writes there is noticed before workers are started
        with holding(root_of(path) for _, path in pairs):
            pass
    if options["diameter"] == "auto":
        found = _measure_sizes(model, card, [image for image, _ in pairs], options)
        options |= {"diameter": None, "diameters": found}
    with where as run, progress("predicting") as show:
        try:
            written, failed = predict_files(model, inputs, out, run=run, report=say, progress=show, **options), None
        except BatchError as error:
            written, failed = error.done, error
    return written, failed, find_unlike(card, _among(pairs, written), options, selection=_selection(card, options))


def _measure_sizes(model: Path, card: ModelCard, images: list[Path], options: dict[str, Any]) -> dict[Path, float]:
    """Diameters of the objects of images that are to be scaled; they are told."""
    Sizes(1.0, options["pixel_size"])  # both are refused
    models, computer = (model, *options["others"]), {name: options[name] for name in ("device", "precision")}
    settings = JobSettings(models, Path(), _selection(card, options), **computer)
    with progress("measuring objects") as show:
        found = measure_diameters(settings, images, room=DecodingRoom(options["memory"]), progress=show)
    say(tell_scaled(found, len(images), card))
    return found


def _write_tables(
    card: ModelCard,
    pairs: list[tuple[Path, Path]],
    written: list[Path],
    options: dict[str, Any],
    unlike: dict[Path, str],
    *,
    failed: bool,
) -> None:
    """Write the tables of the objects of files that were predicted, or say that they are complete."""
    from biounet.cli.measure_predictions import are_complete, forget  # measuring is slow to import

    labels = [path for _, path in pairs]
    table = _tables_beside(labels[0])[0]
    # Asked afterwards: with --overwrite and --resume, complete labels of another model have just been replaced.
    if not failed and options["resume"] and are_complete(labels, table.parent):
        say(f"{table} is complete already")
        forget(labels)
    elif written:
        _measure(card, _among(pairs, written), options, unlike, keep=failed)


def _measure(
    card: ModelCard, pairs: list[tuple[Path, Path]], options: dict[str, Any], unlike: dict[Path, str], *, keep: bool
) -> None:
    """Measure the objects of the files that were predicted."""
    from biounet.cli.measure_predictions import measure_predictions

    measure_predictions(
        pairs,
        _folder_of(pairs[0][1]),
        selection=_selection(card, options),
        channels=card.model.in_channels,
        dims=card.model.dims,
        link=options["link"],
        unlike=unlike,
        keep=keep,
    )


def _selection(card: ModelCard, options: dict[str, Any]) -> Selection:
    """What is read of the images."""
    given = Selection(*(options[name] for name in ("axes", "series", "channel", "level")))
    return as_trained(given, card)[0]


def _check_labels(model: Path, card: ModelCard, save: str) -> None:
    """Refuse a table, before anything is predicted, of results that cannot be measured."""
    if save not in ("labels", "objects"):
        raise ConfigError(f"--table measures numbered objects, and --save is {save}; save labels, or leave --table out")
    if not card.task.has_labels:
        raise ConfigError(f"{model} draws images, in which there are no numbered objects for --table; leave it out")
    if not card.task.saves_objects(save):
        split = "leave it out, and number the parts of the result by: biounet measure RESULT --split"
        remedy = "add --save objects, to number the parts of the foreground" if card.is_binary else split
        raise ConfigError(f"{model} was trained on classes, so there are no numbered objects for --table; {remedy}")


def _tables_beside(labels: Path) -> list[Path]:
    """The tables of label files in the folder of one."""
    from biounet.cli.measure_files import TABLES  # measuring is slow to import

    return [_folder_of(labels) / name for name in TABLES]


def _folder_of(labels: Path) -> Path:
    """The folder that a label file lies in, or the image that it is a part of."""
    return root_of(labels).parent
