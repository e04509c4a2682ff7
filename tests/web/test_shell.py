"""What stands around every page: the menu, the user's bots, the halt in force, the line to the server."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import constants as levels
from django.contrib.messages.storage.base import Message
from django.template import Context, engines

from bots.domain.bot import BotMode, BotStatus
from bots.models import BotState
from bots.services import halt, resume
from bots.templatetags import shell
from risk.domain import TradingState
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import User

PAGE = """{% extends "base.html" %}{% block title %}Wren{% endblock %}{% block heading %}Wren{% endblock %}
{% block content %}<p>What the page is for</p>{% endblock %}"""


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org", time_zone="Europe/Berlin")


@pytest.fixture
def page(rf, ann):
    """Render a page of Ann's with this context; `address` is where it is."""

    def render(address="/", **context) -> str:
        request = rf.get(address)
        request.user = ann
        request.resolver_match = None
        return engines["django"].from_string(PAGE).render(context, request)

    return render


def listed(html: str) -> list[str]:
    """The bots at the side: group titles, then dot, name and word of each."""
    side = html[html.index('<nav class="side"') : html.index('<div class="side-foot">')]
    found = re.findall(
        r'nav-title">(\w+)<|class="dot ([a-z]*)"></span><span class="name">([^<]+)</span>'
        r'(?:<span class="push small t3">(\w+)</span>)?',
        side,
    )
    return [" ".join(part for part in hit if part) for hit in found]


def test_a_page_has_its_names_and_landmarks(page):
    html = page()

    assert "<title>Wren · Trading Agent</title>" in html and "<h1>Wren</h1>" in html
    assert '<a class="skip" href="#main">' in html and 'id="main"' in html
    assert 'data-zone="Europe/Berlin"' in html
    assert html.count("<main") == html.count("<h1") == 1
    labels = re.findall(r'<nav [^>]*aria-label="([^"]+)"', html)
    assert len(labels) == len(set(labels)) == 2


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/", ["Dashboard", "Dashboard"]),
        ("/halt/", ["Dashboard", "Dashboard"]),
        ("/bots/", ["Bots", "Bots"]),
        ("/bots/00000000-0000-0000-0000-000000000001/", ["Bots", "Bots"]),
        ("/bots/new/", ["Bots", "New bot"]),  # on a phone it has a place of its own
        ("/arena/", ["Arena", "Arena"]),
        ("/models/", ["Models", "Models"]),
        ("/models/new/", ["Models", "Models"]),
        ("/prompts/", ["Models", "Models"]),
        ("/alerts/", ["Alerts"]),  # on a phone it is the bell above
        ("/account/settings/", ["Settings", "Settings"]),
        ("/account/password/change/", ["Settings", "Settings"]),
        ("/limits/", ["Settings", "Settings"]),
        ("/limits/1/change/", ["Settings", "Settings"]),
        ("/elsewhere/", []),
    ],
)
def test_the_menus_mark_where_one_is(page, address, expected):
    marked = re.findall(
        r'aria-current="page">(?:<svg.*?</svg>)(?:<span class="name">)?([^<]+)', page(address)
    )

    assert marked == expected


def test_the_users_bots_stand_at_the_side_by_mode_and_nobody_elses(page, ann):
    paper_bot(ann, name="Wren")
    paper_bot(ann, name="Dunlin", status=BotStatus.PAUSED)
    paper_bot(ann, name="Heron", is_halted=True)
    paper_bot(ann, name="Gone", status=BotStatus.ARCHIVED)
    BotState.objects.filter(bot=paper_bot(ann, name="Kestrel").pk).update(
        trading_state=TradingState.REDUCING
    )
    paper_bot(User.objects.create_user("bob@example.org"), name="Bobs")

    assert listed(page()) == [
        "Paper",
        "off Dunlin paused",
        "bad Heron halted",
        "warn Kestrel reducing",
        "Wren",
    ]


def test_live_bots_stand_before_paper_ones():
    assert shell.MODES == (BotMode.LIVE, BotMode.PAPER) and set(shell.MODES) == set(BotMode)


def test_a_long_list_is_cut_and_says_so(page, ann):
    for number in range(shell.LISTED + 3):
        paper_bot(ann, name=f"Bot {number:02d}")

    html = page()

    assert len(listed(html)) == 1 + shell.LISTED + 1
    assert "3 more" in html


def test_it_costs_three_queries_however_many_bots_there_are(page, ann, django_assert_num_queries):
    for number in range(3):
        paper_bot(ann, name=f"Bot {number}")

    with django_assert_num_queries(3):
        page()


def test_a_halt_stands_on_every_page_until_it_is_ended(page, ann):
    assert "HALTED" not in page()
    halt(by=ann, user=ann, reason="exchange <notice>")

    html = page()
    assert "HALTED" in html and "“exchange &lt;notice&gt;”" in html
    assert "ann@example.org" in html and ">Resume</a>" in html

    resume(by=ann, user=ann)
    assert "HALTED" not in page()


def test_a_halt_of_all_is_the_operators_and_has_no_button(page, ann):
    halt(by="command", reason="")

    html = page()

    assert "The operator has halted everyone." in html
    assert ">Resume</a>" not in html


def test_halts_of_others_and_of_one_bot_are_not_on_every_page(page, ann):
    bob = User.objects.create_user("bob@example.org")
    halt(by=bob, user=bob)
    halt(by=ann, bot_id=paper_bot(ann, name="Wren").pk)

    assert "HALTED" not in page()


def test_a_page_with_live_parts_says_how_the_line_is(page):
    html = page(live_topic="bot:1")

    assert 'id="conn" role="status"' in html and 'data-live="bot:1"' in html
    assert "js/live.js" in html


def test_a_page_without_live_parts_claims_no_line(page):
    html = page()

    assert 'id="conn"' not in html and "data-live" not in html
    assert (
        '<body data-around="unread"' in html and "js/live.js" in html
    )  # what stands around it moves


def test_what_happened_is_told_and_what_went_wrong_stays(page):
    html = page(
        messages=[
            Message(levels.SUCCESS, "Wren is paused."),
            Message(levels.ERROR, "<b>SOL</b> has no stop."),
        ]
    )

    toasts = re.findall(
        r'<div class="toast([a-z ]*)"( data-stay)?>.*?<span>(.*?)</span>', html, re.DOTALL
    )
    assert toasts == [
        ("", "", "Wren is paused."),
        (" bad", " data-stay", "&lt;b&gt;SOL&lt;/b&gt; has no stop."),
    ]


def test_nobody_has_no_bots(rf):
    request = rf.get("/")
    request.user = AnonymousUser()

    assert shell.side_bots(Context({"request": request})) == ()


@pytest.mark.parametrize(("size", "classes"), [("", "ico"), ("s", "ico ico-s")])
def test_an_icon_is_hidden_from_who_listens(size, classes):
    expected = (
        f'<svg class="{classes}" aria-hidden="true"><use href="/static/img/icons.svg#halt"/></svg>'
    )

    assert shell.icon("halt", size) == expected
