"""How the parts of a metrics.json are compared and told: controls, images, windows."""

from vlae_tf.datasets import DATASETS

# The size of an evaluation. Only likelihoods of the same size can be compared.
SIZE = ("num_images", "importance_samples")
# Where fewer samples count, a single one decides: the likelihood is a bound that may be far off.
LEAST_EFFECTIVE = 2.0


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


def number_of_samples(block):
    """The number of importance samples of a block as text, with how many of them count in the
    median image where that was measured, and a word where it is near 1."""
    told = f"{block['importance_samples']:,}"
    counting = block.get("effective_samples")
    if counting is None or block["importance_samples"] == 1:
        return told
    bound = ": a bound only" if counting < LEAST_EFFECTIVE else ""
    return f"{told} ({counting:.1f} count{bound})"


# === The window ===


def window(likelihood_family):
    """A sort key that orders windows by how much they show, and the window as text.

    The text is width x height in pixels, as in the paper, "nothing", or "the whole image"; where
    the window is no rectangle, that of the smallest one around it, and the number of pixels it has.
    A grey window shows less than any window with colours.
    """
    network = getattr(likelihood_family, "network", None)
    if network is None:
        return (False, 0), "nothing"
    field = network.receptive_field
    width, grey = field.left + 1 + field.right, getattr(likelihood_family, "grey_window", False)
    box = field.above * width + field.left
    height, columns, _ = likelihood_family.image_shape
    if window_pixels(likelihood_family) == height * columns - 1:
        return (not grey, box), f"the whole image{', grey' if grey else ''}"
    text = f"{width}x{field.above} above, {field.left} left{', grey' if grey else ''}"
    if field.pixels < box:
        text += f" (a cone of {field.pixels} of these {box} pixels)"
    return (not grey, box), text


def window_pixels(likelihood_family):
    """The number of pixels of the window: the most that a pixel of the image sees."""
    network = getattr(likelihood_family, "network", None)
    if network is None:
        return 0
    field, (height, width, _) = network.receptive_field, likelihood_family.image_shape
    ends = [end for end in field.ends[:height] if end is not None]
    return max(
        sum(max(0, min(end, width - 1 - column) + min(field.left, column) + 1) for end in ends)
        for column in range(width)
    )
