import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from mmdl.search.page.render import render
from mmdl.search.queries import Query
from mmdl.search.results import Found, Hit

EVIL = '<script>alert("&")</script>\n\x1b'
SHOWN = "&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;\\n\\x1b"


def page(count=1, image=None):
    hits = [
        Hit(1, EVIL, 0.5, Path("/a"), True),
        Hit(2, "gone", 0.4, Path("/b"), False),
        Hit(3, "x", 0.3, Path("/c"), True),
    ]
    query = Query(EVIL, image)
    thumbnails = {Path("/a"): np.zeros((20, 30, 3), np.uint8), Path("/b"): None, Path("/c"): None}
    if image is not None:
        thumbnails[image] = np.zeros((8, 8, 3), np.uint8)
    return render([Found(query, hits, [EVIL])] * count, thumbnails, [("run", EVIL)], [EVIL])


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


def test_it_is_sound_html_with_unique_ids():
    for text in (page(), page(3), page(1, Path("/q"))):
        parser = Parser()
        parser.feed(text)
        assert parser.open == []
        assert len(parser.ids) == len(set(parser.ids))
        assert set(re.findall(r'href="#([^"]+)"', text)) <= set(parser.ids)


def test_names_and_queries_are_text():
    text = page()
    assert text.count("<script>") == 1
    assert "alert(" in text
    assert text.count(SHOWN) == 8  # title, lead, fact, remark, label, alt, name, note
    assert "\x1b" not in text


def test_nothing_in_it_points_beyond_the_page():
    text = page(2, Path("/q"))
    for address in re.findall(r'(?:src|srcset|href|url)\s*[=(]\s*["\']?([^"\')> ]+)', text):
        assert address.startswith(("data:", "#")), address
    assert "default-src 'none'" in text


def test_gone_and_unreadable_images_have_a_place():
    text = page()
    assert text.count('class="gone"') == 2
    assert "deleted since" in text
    assert "can’t be read" in text
    assert "The image that was looked for" in page(1, Path("/q"))
