"""What people look at after a search: a table, curves, pictures, the best recipe, one HTML file."""

import csv
import dataclasses
import io
import json

from vlae_tf.files import whole, write_text
from vlae_tf.runs.data import split_images
from vlae_tf.tuning.page import COLUMNS, page
from vlae_tf.tuning.pictures import plot_codes, plot_curves
from vlae_tf.tuning.search_space import SearchSpace


def write_report(out, recipe, results, settings, command=None, data_dir=None):
    """Write trials.csv, best_recipe.json, curves.png, reconstructions.png and report.html.

    Args:
        out: folder of the search.
        recipe: the `Recipe` that the search began with.
        results: the `SearchResults`.
        settings: of the search, as search.json has them.
        command: the command line.
        data_dir: where TFDS keeps its data.
    """
    _write_csv(out / "trials.csv", results)
    if results.best is None:
        (out / "best_recipe.json").unlink(missing_ok=True)
    else:
        write_text(out / "best_recipe.json", _best_recipe(recipe, results, command).to_json())
    pictures = {}
    if results.of_each_size:
        pictures["curves.png"] = "Validation NLL, length of the code and active units."
        with whole(out / "curves.png") as path:
            plot_curves(results, path)
    present = [
        result for result in results.of_each_size if (result.folder / "model.weights.h5").exists()
    ]
    if present:
        pictures["reconstructions.png"] = (
            "Validation images, and one image drawn from the code of each, by the size of the code."
        )
        with whole(out / "reconstructions.png") as path:
            seed = settings["evaluation"]["seed"]
            images = split_images(results.space.base, "validation", seed, data_dir)
            plot_codes(present, images[:12], path)
    write_text(out / "report.html", page(out, results, pictures, settings, command))


def _best_recipe(recipe, results, command):
    """The recipe that the search began with, its own splits and epochs, with the best values."""
    values, nll = results.best.values, results.best.metrics["nll"]
    note = (
        f"{recipe.notes} Chosen by validation NLL ({nll:.2f} nats) in a search over "
        f"{', '.join(values)}{f': {command}' if command else ''}"
    )
    chosen = SearchSpace(recipe, results.space.choices).recipe(values)
    return dataclasses.replace(chosen, notes=note.strip())


def _write_csv(path, results):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["trial", *results.space.choices, "status", "score", *COLUMNS, "minutes", "error"]
    )
    for result in results:
        writer.writerow(
            [result.trial, *map(json.dumps, result.values.values())]
            + [result.status, result.score, *(result.metrics.get(name) for name in COLUMNS)]
            + [result.minutes and round(result.minutes, 2), result.error]
        )
    write_text(path, text.getvalue())
