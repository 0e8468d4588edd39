"""How the numbers of a metrics.json are written for people: unit, digits, number of images."""

import keras

from vlae_tf.datasets import DATASETS
from vlae_tf.files import read_json, reading

# The size of an evaluation. Only likelihoods of the same size can be compared.
SIZE = ("num_images", "importance_samples")


def unit(metrics):
    """Unit of a model's likelihood: nats for binary images, bits/dim for others."""
    return "bits/dim" if metrics["binarisation"] == "none" else "nats"


def in_unit(nats, metrics):
    """Nats an image, converted to the model's unit."""
    if unit(metrics) == "nats":
        return nats
    best = metrics["likelihood"][0]
    return nats * best["bits_per_dim"] / best["nll"]


def rounded(nats, metrics):
    """Nats an image as text, in the model's unit: 2 digits of nats, 3 of bits/dim."""
    return f"{in_unit(nats, metrics):.{2 if unit(metrics) == 'nats' else 3}f}"


def control_nll(metrics, block):
    """NLL of the control in nats, if it was measured on as many images as this block; or None."""
    control = metrics.get("control")
    return control["nll"] if control and control["num_images"] == block["num_images"] else None


def gain(metrics, block):
    """The gain over the control in nats and its standard error, if it was measured on as many
    images with as many importance samples as this block; or None."""
    control = metrics.get("control")
    if not control or any(control[key] != block[key] for key in SIZE):
        return None
    return control["gain"], control["gain_standard_error"]


def number_of_images(block, metrics):
    """The number of images of a block as text, with that of the whole split if it is larger."""
    count, known = block["num_images"], DATASETS.get(metrics["dataset"])
    parts = metrics["split"].split("+")
    all_images = sum(known.sizes[part] for part in parts) if known else count
    return f"{count:,}" if count == all_images else f"{count:,} of {all_images:,}"


# === The window ===


def window(likelihood_family):
    """A sort key that orders windows by how much they show, and the window as text.

    The text is width x height in pixels, as in the paper, or "nothing". A grey window shows less
    than any window with colours.
    """
    network = getattr(likelihood_family, "network", None)
    if network is None:
        return (False, 0), "nothing"
    field = network.receptive_field
    width, grey = field.left + 1 + field.right, getattr(likelihood_family, "grey_window", False)
    text = f"{width}x{field.above} above, {field.left} left{', grey' if grey else ''}"
    return (not grey, field.above * width + field.left), text


def part_of(folder, name):
    """A part of a run's model, such as its `likelihood_family`, from config.json: no weights."""
    path = folder / "config.json"
    with reading(path, "a serialised model"):
        config = read_json(path, "a serialised model")
        return keras.saving.deserialize_keras_object(config["config"][name])
