"""How likelihoods are written for people: their unit and their digits."""


def unit(metrics):
    """Unit of a model's likelihood: nats for binary images, bits/dim for others."""
    return "bits/dim" if metrics["binarisation"] == "none" else "nats"


def in_unit(nats, metrics):
    """Nats an image, converted to the model's unit."""
    if unit(metrics) == "nats":
        return nats
    best = metrics["likelihood"][0]
    return nats * best["bits_per_dim"] / best["nll"]


def with_error(block, metrics):
    """The NLL of a block of metrics as text and, of more than one image, its standard error."""
    nll, error = block["nll"], block.get("nll_standard_error")
    return rounded(nll, metrics) + ("" if error is None else f" ± {rounded(error, metrics)}")


def rounded(nats, metrics):
    """Nats an image as text, in the model's unit: 2 digits of nats, 3 of bits/dim."""
    return f"{in_unit(nats, metrics):.{2 if unit(metrics) == 'nats' else 3}f}"
