"""Download and prepare a data set: `python -m vlae_tf.datasets NAME`."""

import argparse

from vlae_tf.datasets.named import prepare
from vlae_tf.datasets.registry import DATASETS


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m vlae_tf.datasets", description=__doc__)
    parser.add_argument("name", choices=DATASETS, help="the data set")
    parser.add_argument("--data-dir", help="TFDS directory (default: TFDS_DATA_DIR, or TFDS' own)")
    parser.add_argument("--manual-dir", help="folder with files downloaded by hand")
    options = parser.parse_args(arguments)
    print(f"{options.name} is in", prepare(options.name, options.data_dir, options.manual_dir))


if __name__ == "__main__":
    main()
