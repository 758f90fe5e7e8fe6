"""``vedette sketch``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from detectors.sketching import sketch_rows
from detectors.training_sketch import SketchError
from monitor.errors import UserError
from monitor.secret import read_secret
from replay.training_set import read_training_set


def sketch(
    training: Annotated[Path, typer.Argument(help="The training set: .npy, .npz, or .csv of numbers.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Sketch to write, for example train.vds.")],
    array: Annotated[str, typer.Option(help="Which array of an .npz that has several.", show_default=False)] = "",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Column of a .csv that is no input, such as the label: its name or number. Repeat."
        ),
    ] = None,
    shape: Annotated[
        str, typer.Option(help="Shape of one row if the file has rows flat: 28,28.", show_default=False)
    ] = "",
    salt_file: Annotated[
        str,
        typer.Option(
            help="File with a salt of 16 characters or more; without it, a random one. The same rows and salt give the "
            "same sketch.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Make a sketch of a training set, by which `vedette run` notices queries that are training records.

    Whoever wants to know whether records were among the training data asks the model about them (membership
    inference). Give the sketch to `vedette calibrate --training-sketch`.

    Rows must be what the model's requests carry: the same features in the same order, scaled and encoded alike.

    The sketch holds salted fingerprints, the median and spread of each feature, and how many rows there were; no row.
    But whoever has it, or a baseline made with it, can find out whether a record that they hold was in the training
    set. Keep both like a password: they are written so that only you can read them.
    """
    salt = read_secret("", salt_file, "salt").encode() if salt_file else secrets.token_bytes(32)
    console = Console()
    try:
        with console.status("reading"):
            rows = read_training_set(training, array, leave_out or ())
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("sketching", total=len(rows) if rows.ndim else None)
            made = sketch_rows(rows, salt, _shape(shape), progress=lambda done: progress.advance(task, done))
    except SketchError as error:
        raise UserError(f"{training}: {error}") from error
    made.save(output)
    typer.echo(
        f"{made.rows} rows of shape {made.shape}; a row unlike them all agrees with one, in a given one of 8 bands, "
        f"about once in {1 / made.false_match:,.0f}"
    )
    typer.echo(f"written: {output}; next: vedette calibrate CLEAN -o baseline.vdb --training-sketch {output}")


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise UserError(f"--shape {text}: whole numbers with commas between them, as in 28,28") from None
