"""What no page may hold: what its own policy would refuse, and what asks another host."""

import re
from collections.abc import Iterator

import pytest
from django.urls import reverse

from tests.architecture.sources import ROOT

RULES = {
    "a style in an attribute": re.compile(r"""<[^>]*\sstyle\s*=""", re.IGNORECASE),
    "a style in the page": re.compile(r"<style\b", re.IGNORECASE),
    "a script in the page": re.compile(r"<script\b(?![^>]*\ssrc=)", re.IGNORECASE),
    "a handler in an attribute": re.compile(r"""<[^>]*\son[a-z]+\s*=""", re.IGNORECASE),
    "a handler by htmx": re.compile(r"""\shx-(on|vals=["']js)""", re.IGNORECASE),
    "an address that runs": re.compile(r"javascript:", re.IGNORECASE),
    "something of another host": re.compile(
        r"""<(script|link|img|iframe|source|use|form|object|embed)\b[^>]*["'](https?:)?//""",
        re.IGNORECASE,
    ),
}


def refused(html: str) -> Iterator[str]:
    for name, pattern in RULES.items():
        for hit in pattern.finditer(html):
            yield f"{name}: {hit.group(0)[:80]}"


def test_no_template_holds_what_the_policy_refuses():
    found = [
        f"{path.relative_to(ROOT)}: {hit}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for hit in refused(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "html",
    [
        '<p style="color:red">',
        "<STYLE>p{}</STYLE>",
        "<script>x()</script>",
        '<script type="module">import x</script>',
        '<button onclick="x()">',
        '<a hx-on:click="x()">',
        '<a href="javascript:x()">',
        '<script src="https://cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/x.css">',
        '<img src="http://example.org/x.png">',
    ],
)
def test_it_would_be_seen(html):
    assert len(list(refused(html))) >= 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://www.tradingview.com/">Charts</a>',
        '<script src="/static/js/page.js" type="module"></script>',
        '<svg class="meter"><rect width="39.4%"/></svg>',
        "<p>a style of its own, once=twice</p>",
    ],
)
def test_what_is_fine_is_let_through(html):
    assert list(refused(html)) == []


@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reset_password"])
def test_a_page_says_what_it_may_load(client, db, name):
    policy = client.get(reverse(name))["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert "frame-ancestors 'none'" in policy
