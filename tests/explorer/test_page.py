"""The page in a real browser: draw a seven, turn the window, come back by the link."""

import importlib.util
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from tests.explorer.conftest import running
from vlae_tf.explorer.explored_model import ExploredModel

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs Debian's chromium and chromium-driver",
    ),
]

MODELS = ("mnist_static", "mnist_static_factorised", "mnist_ladder", "mnist_mixture_ladder")


@pytest.fixture(scope="module")
def address():
    with running({name: ExploredModel(name) for name in MODELS}) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,1100")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def wait(browser, script, seconds=300):
    """What a script returns, as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(f"return {script}")):
        assert time.monotonic() < end, f"{script} is never true: {status(browser)}"
        time.sleep(0.05)
    return found


def status(browser):
    return browser.execute_script("return document.getElementById('status').textContent")


DRAWN = (
    "(cards => cards.length && cards.every(card => card.dataset.milliseconds)"
    " && !document.querySelector('.waiting'))([...document.querySelectorAll('article')])"
)
FIRST_CARD = "document.querySelector('article')"
PIXELS = (
    "[...%s.querySelectorAll('.images canvas')].filter(c => !c.hidden).map(c => "
    "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    ".filter((_, i) => i %% 4 == 0))"
)


def images(browser, card=FIRST_CARD):
    """The images of a card, 1 where there is ink."""
    return 1 - np.array(browser.execute_script(f"return {PIXELS % card}")) // 255


def settle(browser):
    """Waits until nothing is being drawn, for a moment at least."""
    time.sleep(0.3)
    wait(browser, DRAWN)


def draw(browser, *points):
    """A stroke with the mouse through points of the paper, in parts of its width."""
    from selenium.webdriver import ActionChains

    paper = browser.find_element("id", "paper")
    width = paper.size["width"]
    chain = ActionChains(browser, duration=20)
    for index, (x, y) in enumerate(points):
        chain.move_to_element_with_offset(paper, int((x - 0.5) * width), int((y - 0.5) * width))
        if index == 0:
            chain.click_and_hold()
    chain.release().perform()


def test_a_seven_drawn_by_mouse_gives_six_images_like_it(browser, address):
    browser.get(address)
    wait(browser, DRAWN)
    draw(browser, (0.3, 0.25), (0.5, 0.25), (0.68, 0.25), (0.6, 0.45), (0.5, 0.62), (0.42, 0.8))
    settle(browser)
    drawn = images(browser)
    assert drawn.shape == (6, 784)
    assert "drawn=" in browser.current_url
    # Ink of a digit, at the top where the bar of the seven is, and none in the lower right corner.
    squares = drawn.reshape(6, 28, 28)
    assert (squares.sum(axis=(1, 2)) > 30).all()
    assert squares[:, 4:12].sum() > squares[:, 20:].sum()
    assert squares[:, 20:, 20:].sum() < 20
    browser.execute_script(f"{FIRST_CARD}.querySelector('.file button').click()")
    told = wait(browser, f"{FIRST_CARD}.querySelector('.file span').textContent.split('…')[0]")
    if importlib.util.find_spec("constriction"):
        assert re.fullmatch(r"This image alone: \d+ bytes. As PNG: \d+.", told)
    else:
        assert told == "No files can be made here."
    first = drawn
    browser.find_element("id", "again").click()
    settle(browser)
    assert (images(browser) != first).any()


def test_the_window_decides_what_the_code_costs(browser, address):
    browser.get(address + "#example=2")
    browser.refresh()
    wait(browser, DRAWN)
    bits = [
        float(text.split()[0])
        for text in browser.execute_script(
            "return [...document.querySelectorAll('.bits')].map(e => e.textContent)"
        )
    ]
    assert bits[0] < bits[1]
    captions = browser.execute_script(
        "return [...document.querySelectorAll('figcaption')].map(e => e.textContent)"
    )
    assert "pixels when it draws" in captions[0] and "no other pixel" in captions[1]


def test_a_number_is_dragged_and_the_link_brings_it_back(browser, address, record_property):
    browser.get(address + "#example=3")
    browser.refresh()
    wait(browser, DRAWN)
    before = images(browser)
    slider = f"{FIRST_CARD}.querySelector('.number input')"
    milliseconds = []
    for value in (-2, -1, 1, 2):
        browser.execute_script(
            f"{slider}.value = {value}; {slider}.dispatchEvent(new Event('input'))"
        )
        settle(browser)
        took = browser.execute_script(f"return {FIRST_CARD}.dataset.milliseconds")
        milliseconds.append(int(took))
    record_property("milliseconds_after_a_drag", milliseconds)
    print(f"after a drag of the slider, new images within {milliseconds} ms")
    moved = images(browser)
    assert (moved != before).any()
    link = browser.current_url
    browser.get("about:blank")
    browser.get(link)
    wait(browser, DRAWN)
    np.testing.assert_array_equal(images(browser), moved)
    browser.execute_script(f"{FIRST_CARD}.querySelector('.reset').click()")
    settle(browser)
    np.testing.assert_array_equal(images(browser), before)


def test_the_other_views(browser, address):
    browser.get(address + "#example=4&view=complete&rows=14")
    browser.refresh()
    wait(browser, DRAWN)
    paper = browser.execute_script(
        "return [...document.getElementById('paper').getContext('2d').getImageData(0, 0, 28, 28)"
        ".data].filter((_, i) => i % 4 == 0)"
    )
    known = 1 - np.array(paper).reshape(28, 28)[:14] // 255
    np.testing.assert_array_equal(images(browser).reshape(6, 28, 28)[:, :14], [known] * 6)
    for view, count in (("between", 8), ("new", 8), ("draws", 6)):
        browser.execute_script(f"document.querySelector('[data-view={view}]').click()")
        settle(browser)
        assert len(images(browser)) == count


def test_rungs_are_shown_where_there_are_any(browser, address):
    tab = "document.querySelector('[data-view=rungs]')"
    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    assert browser.execute_script(f"return {tab}.hidden")
    ladders = "mnist_ladder,mnist_mixture_ladder"
    link = f"{address}#dataset=mnist_dynamic&models={ladders}&view=rungs&rung=2&example=1"
    browser.get(link)
    browser.refresh()
    wait(browser, DRAWN)
    assert not browser.execute_script(f"return {tab}.hidden")
    counts, told = (
        browser.execute_script(f"return [...document.querySelectorAll('article')].map(c => {what})")
        for what in (
            "c.querySelectorAll('.images canvas').length",
            "c.querySelector('.told').textContent",
        )
    )
    assert counts == [81, 200] and "Only this rung" in told[0] and "25 clusters" in told[1]
    before = browser.execute_script(f"return {PIXELS % FIRST_CARD}")
    browser.execute_script("rung.value = 3; rung.dispatchEvent(new Event('input'))")
    settle(browser)
    assert browser.execute_script(f"return {PIXELS % FIRST_CARD}") != before
    assert "rung=3" in browser.current_url


def test_a_picture_is_taken_and_what_is_none_is_refused(browser, address, tmp_path):
    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    picture = np.full((90, 90, 3), 255, "uint8")
    picture[20:70, 40:50] = 0
    Image.fromarray(picture).save(tmp_path / "one.png")
    browser.find_element("id", "file").send_keys(str(tmp_path / "one.png"))
    wait(browser, "location.hash.includes('drawn=')")
    settle(browser)
    assert 20 < images(browser).sum(axis=1).mean() < 120
    (tmp_path / "none.png").write_bytes(b"no picture")
    browser.find_element("id", "file").send_keys(str(tmp_path / "none.png"))
    wait(browser, "document.querySelector('#status.wrong')")
    assert "none.png" in status(browser) and "Pillow" in status(browser)


def test_an_answer_to_an_earlier_question_does_not_hide_an_error(browser, address, tmp_path):
    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    (tmp_path / "none.png").write_bytes(b"no picture")
    browser.execute_script(
        "const answered = fetch; window.late = []; window.fetch = async (...asked) => {"
        " const reply = await answered(...asked);"
        " if (asked[0] == 'api/decode') await new Promise(done => window.late.push(done));"
        " return reply; }; document.getElementById('again').click()"
    )
    wait(browser, "window.late.length")
    browser.find_element("id", "file").send_keys(str(tmp_path / "none.png"))
    wait(browser, "document.querySelector('#status.wrong')")
    wait(browser, "(window.late.forEach(go => go()), !document.querySelector('.waiting'))")
    assert "none.png" in status(browser)
    # What the user does next is a new start.
    browser.refresh()
    wait(browser, DRAWN)
    assert status(browser) == ""


def test_keyboard_labels_and_narrow_screens(browser, address):
    from selenium.webdriver import Keys

    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, input, select')].filter(e => "
        "!(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    paper = browser.find_element("id", "paper")
    paper.send_keys(Keys.ARROW_RIGHT, Keys.SPACE)
    wait(browser, "location.hash.includes('drawn=')")
    settle(browser)
    for width in (360, 768, 1920):
        browser.set_window_size(width, 900)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(f"return {overflow}") <= 0, width
    browser.set_window_size(1280, 1100)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # A refused picture is an answer of 400, which the browser logs as well.
    assert all("400" in entry["message"] for entry in errors), errors


def test_a_link_of_a_stranger_is_shown_as_far_as_it_is_right(browser, address):
    browser.get("about:blank")
    browser.get(
        f"{address}#example=1.7&second=-3&rows=99&rung=0&seed=-5&temperature=1e9&drawn=%3F"
        "&models=nothing,mnist_static&view=x%22%5D&changes=[null,{%22a%22:1}]"
    )
    wait(browser, DRAWN)
    assert status(browser) == "" and images(browser).shape == (6, 784)
    state = browser.execute_script("return state")
    asked = {key: state[key] for key in ("example", "second", "rows", "rung", "seed", "drawn")}
    assert asked == dict(example=1, second=0, rows=28, rung=0, seed=0, drawn=None)
    assert state["temperature"] == 1.5 and state["changes"] == {}
    assert state["models"] == ["mnist_static"]
    for link in ("changes=null", 'changes={"mnist_static":{"0":"a"}}', "drawn=AAAA&models="):
        browser.get("about:blank")
        browser.get(f"{address}#{link}")
        wait(browser, DRAWN)
        assert status(browser) == "" and images(browser).shape == (6, 784)


def test_a_link_in_the_same_tab_is_a_new_start(browser, address):
    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    draw(browser, (0.3, 0.3), (0.7, 0.7))
    settle(browser)
    assert browser.execute_script("return state.drawn")
    browser.execute_script("location.hash = 'example=2'")
    settle(browser)
    drawn, example = browser.execute_script("return [state.drawn, state.example]")
    assert drawn is None and example == 2


def test_other_models_may_be_chosen_while_some_are_asked(browser, address):
    browser.get(address)
    browser.refresh()
    wait(browser, DRAWN)
    browser.execute_script(
        "window.answered = fetch; window.late = []; window.fetch = async (...asked) => {"
        " const reply = await answered(...asked);"
        " await new Promise(done => window.late.push(done));"
        " return reply; }; choose(5)"
    )
    wait(browser, "window.late.length")
    browser.execute_script(
        "window.fetch = window.answered; const menu = document.getElementById('dataset');"
        " menu.value = 'mnist_dynamic'; menu.dispatchEvent(new Event('change'))"
    )
    settle(browser)
    browser.execute_script("window.late.forEach(go => go())")
    settle(browser)
    assert status(browser) == ""
    titles = "[...document.querySelectorAll('h3')].map(e => e.textContent)"
    assert all("ladder" in title for title in browser.execute_script(f"return {titles}"))


def test_a_page_whose_explorer_has_ended_says_so(browser, tiny_entry):
    with running({str(tiny_entry): ExploredModel(tiny_entry)}) as port:
        browser.get(f"http://127.0.0.1:{port}/")
        wait(browser, DRAWN)
    browser.find_element("id", "again").click()
    wait(browser, "document.querySelector('#status.wrong')")
    assert "is it still running" in status(browser)
