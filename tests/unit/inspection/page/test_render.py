import re
from html.parser import HTMLParser

import numpy as np

from mmdl.inspection.drawing.bars import named_bars
from mmdl.inspection.drawing.pixels import image_picture
from mmdl.inspection.page.parts import Chain, Figure, Page, Row, Section, Table
from mmdl.inspection.page.render import render

EVIL = '<script>alert("&")</script>'


def page(text="a text"):
    picture = named_bars(["a", "b"], np.array([1.0, 2.0]))
    image = image_picture(np.zeros((1, 4, 4)), 40)
    sections = [
        Section(text, [text, Chain(["Convolution", text]), Figure("bars", picture, text, text)]),
        Section("Part", [Row([Figure("image", image, text, text), Figure("other", image, "", "")])], 3),
        Section(text, [Table(("", text), [("ok", text), ("FAIL", text)], text, frozenset({1}))]),
    ]
    return Page(text, text, [("run", text)], [Figure("hero", image, text, text)], sections, [text])


class Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "link", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_it_is_sound_html_with_unique_ids_and_anchors_that_exist():
    text = render(page())
    parser = Parser()
    parser.feed(text)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(parser.ids)
    assert parser.tags.count("figure") == 4
    assert parser.tags.count("source") == 1  # only bars have a text, and so a dark version


def test_all_text_is_escaped():
    text = render(page(EVIL))
    assert EVIL not in text
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;" in text


def test_nothing_in_it_points_beyond_the_page():
    text = render(page())
    for address in re.findall(r'(?:src|srcset|href|url)\s*[=(]\s*["\']?([^"\')> ]+)', text):
        assert address.startswith(("data:", "#")), address
    assert "default-src 'none'" in text
    assert "http" not in re.sub(r"http-equiv", "", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))


def test_figures_are_counted_in_the_order_of_the_page():
    assert [figure.name for figure in page().figures()] == ["hero", "bars", "image", "other"]
