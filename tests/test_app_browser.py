"""The app from end to end, in a headless Chromium, which must ask nobody but the app's own server."""

import os
import re
import shutil
import time
import urllib.parse
from importlib.util import find_spec

import app_server
import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = [name for name in ("gradio", "skimage", "playwright") if find_spec(name) is None]
if MISSING and CHROMIUM and os.environ.get("CI"):
    raise RuntimeError(f"the app's test in a browser needs {', '.join(MISSING)}")
MISSING += [] if CHROMIUM else ["chromium"]
if MISSING:
    pytest.skip(f"the app's test in a browser needs {', '.join(MISSING)}", allow_module_level=True)

PATIENCE = 1000 * app_server.PATIENCE  # in milliseconds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with app_server.running(tmp_path_factory.mktemp("app")) as (_, address):
        yield address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A fresh page with the astronaut on it; whatever it asks of other machines, or throws, fails the test."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE)
    asked, thrown = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: thrown.append(error))
    page.goto(address)
    page.wait_for_selector("#status .time")
    page.wait_for_selector("#swipe img")
    yield page
    page.close()
    hosts = {urllib.parse.urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert not thrown


def picture(page):
    """The address of the refined picture, which is another for other pixels."""
    return page.locator("#swipe img").nth(1).get_attribute("src")


def changed(page):
    return page.inner_text("#status .changed")


def wait_until(page, condition):
    """Waits for something that the page does in its own time."""
    end = time.monotonic() + app_server.PATIENCE
    while not condition():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def upload(page, what, path):
    page.set_input_files(f"#uploads input[type=file] >> nth={['picture', 'probabilities'].index(what)}", path)


def test_the_astronaut_is_there_at_the_start_on_one_screen(page):
    assert re.search(r"\d+ ms", page.inner_text("#status .time").replace("\n", " "))
    assert "astronaut: 512 x 512, 21 labels" in page.inner_text("#status")
    assert "person" in page.inner_text("#table")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_a_slider_follows_the_keyboard(page):
    before = picture(page), changed(page)
    page.focus("#w1 input[type=range]")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.input_value("#w1 input[type=number]") == "7"
    wait_until(page, lambda: changed(page) != before[1])
    wait_until(page, lambda: picture(page) != before[0])


def test_a_slider_follows_the_mouse_while_it_is_dragged(page):
    before = picture(page), changed(page)
    box = page.locator("#sigma_beta input[type=range]").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(box["x"] + box["width"] * (2 + step) / 12, middle)
    wait_until(page, lambda: changed(page) != before[1])  # the button is down still
    page.mouse.up()
    wait_until(page, lambda: picture(page) != before[0])
    assert float(page.input_value("#sigma_beta input[type=number]")) > 20


def test_the_newest_of_many_settings_is_the_one_that_is_shown(page):
    page.focus("#iterations input[type=range]")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert page.input_value("#iterations input[type=number]") == "0"
    wait_until(page, lambda: "0.00 %" in changed(page))


def test_a_number_can_be_typed(page):
    before = changed(page)
    page.fill("#sigma_alpha input[type=number]", "7")
    page.keyboard.press("Enter")
    wait_until(page, lambda: changed(page) != before)


def test_a_preset_moves_the_sliders(page):
    before = changed(page)
    page.click("#preset input")
    page.get_by_role("option", name="densecrf", exact=True).click()
    wait_until(page, lambda: changed(page) != before)
    assert page.input_value("#sigma_alpha input[type=number]") == "80"
    assert page.input_value("#iterations input[type=number]") == "5"


def test_a_sample_is_one_click_away_and_every_tab_shows_it(page):
    page.get_by_role("button", name="motorcycle").click()
    wait_until(page, lambda: "motorcycle: 500 x 337" in page.inner_text("#status"))
    open_tab(page, "Changed pixels")
    page.wait_for_selector("#changes img")
    open_tab(page, "Curves")
    page.wait_for_selector("#curves svg")
    assert "motorbike" in page.inner_text("#curves")
    open_tab(page, "Export")
    wait_until(page, lambda: "sigma_alpha = 67" in page.inner_text("#toml"))
    assert "example('motorcycle')" in page.inner_text("#program")
    with page.expect_download() as download:
        page.locator("#files a").first.click()
    with open(download.value.path(), "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_what_is_exported_follows_the_sliders(page):
    open_tab(page, "Export")
    page.focus("#w2 input[type=range]")
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: "w2 = 3.5" in page.inner_text("#toml"))
    assert "weight=3.5" in page.inner_text("#program")


def test_garbage_gets_a_sentence_and_the_page_goes_on(page, tmp_path):
    for what, name in (("picture", "garbage.png"), ("probabilities", "garbage.npy")):
        (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(3000))
        upload(page, what, tmp_path / name)
        wait_until(page, lambda name=name: name in page.inner_text("#notice"))
    assert page.locator("#notice [role=alert]").is_visible()
    page.get_by_role("button", name="chelsea").click()
    wait_until(page, lambda: "chelsea" in page.inner_text("#status"))
    wait_until(page, lambda: page.inner_text("#notice").strip() == "")


def test_an_uploaded_picture_and_its_probabilities_are_refined(page, tmp_path):
    from PIL import Image

    image = np.full((300, 400, 3), 60, np.uint8)
    image[:, 200:] = 190
    Image.fromarray(image).save(tmp_path / "two halves.png")
    foreground = np.zeros((300, 400), np.float32) + 0.1
    foreground[:, 212:] = 0.9
    np.save(tmp_path / "probs.npy", np.stack([1 - foreground, foreground]))
    upload(page, "picture", tmp_path / "two halves.png")
    wait_until(page, lambda: "two halves.png: 400 x 300, 2 labels" in page.inner_text("#status"))
    upload(page, "probabilities", tmp_path / "probs.npy")
    wait_until(page, lambda: "Taken as probabilities" in page.inner_text("#status"))
    assert 1 < float(changed(page).split()[0]) <= 3.1  # most of the columns between the border and the edge


def test_strokes_become_labels(page):
    open_tab(page, "Paint")
    page.wait_for_selector("#editor canvas")
    page.wait_for_selector("#painted img")
    stroke_until(page, 0.6, lambda: "two colours" in page.inner_text("#notice"))
    page.click("#editor button[title=Color]")
    page.locator("#editor button.color").first.click()
    stroke_until(page, 0.2, lambda: "Painted" in page.inner_text("#status"))
    assert "thing" in page.inner_text("#table")


def stroke_until(page, height, condition):
    """Paints from left to right, again while nothing follows: a canvas that is still being set up takes no strokes."""
    for _ in range(12):
        box = page.locator("#editor canvas").first.bounding_box()
        middle = box["y"] + box["height"] * height
        page.mouse.move(box["x"] + box["width"] * 0.35, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
        page.mouse.up()
        for _ in range(100):
            if condition():
                return
            page.wait_for_timeout(100)
    pytest.fail("no stroke was answered")
