"""summary.html and the progress on a screen or in a log."""

import io
import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("PIL")

import data_sets

from densecrf import batch
from densecrf.batch import progress


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(tmp_path):
    data_sets.make(tmp_path, ["a", "<b>", '"q"', "d", "e"])
    (tmp_path / "probs" / "d.npy").write_bytes(b"broken")
    (tmp_path / "images" / "<script>.jpg").write_bytes(b"broken")
    batch.run(data_sets.options(tmp_path, thumbnails=4))
    return (tmp_path / "out" / "summary.html").read_text()


def test_the_page_needs_nothing_but_itself(page):
    assert not re.search(r"https?://|@import|url\(", page)
    for tag, attributes in Tags(page).found:
        assert tag not in ("link", "script", "iframe", "object")
        assert "href" not in attributes
        assert attributes.get("src", "data:").startswith("data:")


def test_names_are_shown_and_not_obeyed(page):
    tags = Tags(page)
    assert "script" not in [tag for tag, _ in tags.found]
    assert {"<b>", '"q"', "<script>.jpg"} <= set(re.split(r"[\n /]|(?<=jpg)", tags.text))


def test_the_most_changed_pictures_come_first_three_small_pictures_each(page):
    tags = Tags(page)
    assert [attributes["alt"] for tag, attributes in tags.found if tag == "img"] == [
        "photograph",
        "before",
        "after",
    ] * 4
    shares = [float(share) for share in re.findall(r"([\d.]+)% of the pixels changed, \d", tags.text)]
    assert len(shares) == 4
    assert shares == sorted(shares, reverse=True)


def test_counts_failures_and_parameters_are_told(page):
    text = " ".join(Tags(page).text.split())
    assert "6 pictures" in text
    assert "4 refined, 2 failed, 0 done before" in text
    assert "sigma alpha67.0" in text
    assert "d.npy" in text


def test_a_data_set_of_nothing_but_failures_has_a_page(tmp_path):
    data_sets.make(tmp_path, "a")
    (tmp_path / "images" / "a.png").write_bytes(b"broken")
    batch.run(data_sets.options(tmp_path))
    assert "broken" not in (tmp_path / "out" / "summary.html").read_text()
    assert (tmp_path / "out" / "results.csv").read_text().count("\n") == 1


def test_a_log_gets_a_line_at_the_end_and_one_a_minute(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    with batch.shown(log) as callback:
        for done in range(201):
            clock[0] = float(done)
            callback(batch.Progress(200, 0, done, 0, float(done)))
    assert log.getvalue().splitlines() == [
        "60 of 200 pictures, 1.00/s, 0:02:20 to go, 0 failed, 0 done before",
        "120 of 200 pictures, 1.00/s, 0:01:20 to go, 0 failed, 0 done before",
        "180 of 200 pictures, 1.00/s, 0:00:20 to go, 0 failed, 0 done before",
        "200 of 200 pictures, 1.00/s, 0:00:00 to go, 0 failed, 0 done before",
    ]


def test_a_terminal_gets_a_bar_with_rate_time_to_go_and_failures():
    pytest.importorskip("rich")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    with batch.shown(screen) as callback:
        callback(batch.Progress(200, 10, 48, 2, 25.0))
    for words in ("60/200", "2.0/s", "0:01:10 left", "2 failed"):
        assert words in screen.getvalue()
