"""Draws docs/coding.png: digits, where the bits of their files go, and what 1, 2 and 4 bytes keep.

python -m docs.draw_coding
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from vlae_tf import coding, zoo

ENTRY, COLUMNS = "mnist_static", 10
# Bits of the code alone, in whole bytes.
LOSSY = (8, 16, 32)


def main():
    images = zoo.examples(ENTRY)[:COLUMNS]
    coder = coding.Coder(ENTRY, "bits-back", verify=False)
    model = zoo.load(ENTRY)
    rows = [("image", images, "gray"), ("bits of each pixel", pixel_bits(model, images), "magma")]
    for bits in LOSSY:
        lossy = coding.Coder(coder, "lossy", codebook_bits=bits)
        again = lossy.decode([lossy.encode(images)], [len(images)])
        rows.append((f"{bits // 8} byte{'s' * (bits > 8)}", again, "gray"))
    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(10, 1.05 * len(rows)))
    for line, (label, pictures, colours) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture[..., 0], cmap=colours, vmin=0, vmax=max(picture.max(), 1))
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.savefig(Path(__file__).with_name("coding.png"), dpi=110, bbox_inches="tight")


def pixel_bits(model, images):
    """-log2 p of each pixel given the code and the pixels before it."""
    images = images.astype("float32")
    likelihood = model.likelihood(model(images)["code"])
    parameters = likelihood.parameters_of(images)
    nats = -ops.convert_to_numpy(likelihood.pixel_log_prob(parameters, images))
    return nats[..., None] / np.log(2)


if __name__ == "__main__":
    main()
