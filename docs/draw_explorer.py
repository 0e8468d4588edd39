"""Takes the picture of the explorer, explorer.png, with Debian's chromium and chromium-driver.

python -m docs.draw_explorer
"""

import shutil
import time
from pathlib import Path

from selenium import webdriver

from tests.explorer.conftest import running
from vlae_tf.explorer.explored_model import ExploredModel

MODELS = ("mnist_static", "mnist_static_factorised")


def main():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1180,940"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    with running({name: ExploredModel(name) for name in MODELS}) as port:
        driver.get(f"http://127.0.0.1:{port}/#example=5")
        while not driver.execute_script(
            "return (cards => cards.length && cards.every(card => card.dataset.milliseconds))"
            "([...document.querySelectorAll('article')])"
        ):
            time.sleep(0.2)
        driver.save_screenshot(str(Path(__file__).with_name("explorer.png")))
        driver.quit()


if __name__ == "__main__":
    main()
