"""How the figures of a metrics.json are told: in which unit, and of how many images."""

from vlae_tf.datasets import DATASETS

# Of an evaluation: figures of the same size can be compared.
SIZE = ("num_images", "importance_samples")


def unit(metrics):
    """In which a model's likelihood is told: nats for binary images, bits/dim for others."""
    return "bits/dim" if metrics["binarisation"] == "none" else "nats"


def in_unit(nats, metrics):
    """So many nats an image in the unit of the model."""
    if unit(metrics) == "nats":
        return nats
    best = metrics["likelihood"][0]
    return nats * best["bits_per_dim"] / best["nll"]


def rounded(nats, metrics):
    """So many nats an image in the unit of the model, with as many digits as are told of it."""
    return f"{in_unit(nats, metrics):.{2 if unit(metrics) == 'nats' else 3}f}"


def control_nll(metrics, block):
    """The control's NLL, nats, if it was measured on as many images as this block; or None."""
    control = metrics.get("control")
    return control["nll"] if control and control["num_images"] == block["num_images"] else None


def gain(metrics, block):
    """What the code is worth, nats, and the error of that, if it was measured on as many images
    with as many importance samples as this block; or None."""
    control = metrics.get("control")
    if not control or any(control[key] != block[key] for key in SIZE):
        return None
    return control["gain"], control["gain_standard_error"]


def window(likelihood_family):
    """A key that orders windows by what they show, and the window as the paper writes it: width x
    height in pixels, or "nothing". A window without colours shows less than any with them."""
    network = getattr(likelihood_family, "network", None)
    if network is None:
        return (False, 0), "nothing"
    above, left, right, _ = network.receptive_field
    width, grey = left + 1 + right, getattr(likelihood_family, "grey_window", False)
    text = f"{width}x{above} above, {left} left{', grey' if grey else ''}"
    return (not grey, above * width + left), text


def number_of_images(block, metrics):
    """On how many images a figure was measured, and of how many where that is not all."""
    count, known = block["num_images"], DATASETS.get(metrics["dataset"])
    parts = metrics["split"].split("+")
    all_images = sum(known.sizes[part] for part in parts) if known else count
    return f"{count:,}" if count == all_images else f"{count:,} of {all_images:,}"
