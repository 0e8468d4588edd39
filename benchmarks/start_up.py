"""What it costs to start: importing vlae_tf against importing Keras, and loading a zoo entry.

    python benchmarks/start_up.py [--rounds 5]

Each measurement is a fresh process; the variants take turns, and the ratio is that of the medians.
"""

import argparse
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.progress import track
from rich.table import Table

REFERENCE = "import keras"
STATEMENTS = (
    REFERENCE,
    "import vlae_tf",
    "import vlae_tf; vlae_tf.VLAE",
    "import vlae_tf; vlae_tf.zoo.load(vlae_tf.zoo.list()[0])",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds

    seconds = {statement: [] for statement in STATEMENTS}
    # The first round fills the disk cache and does not count.
    for count in track(range(rounds + 1), description="rounds"):
        for statement in STATEMENTS:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True, stderr=subprocess.DEVNULL)
            if count:
                seconds[statement].append(time.perf_counter() - start)

    medians = {statement: statistics.median(times) for statement, times in seconds.items()}
    table = Table("a fresh process", "seconds", f"of {REFERENCE}")
    for statement, median in medians.items():
        table.add_row(statement, f"{median:.2f}", f"{median / medians[REFERENCE]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
