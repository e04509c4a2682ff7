"""The parts of pages: lengths stay inside, states have words, sums agree in sight."""

from decimal import Decimal as D

import pytest
from django.template import engines

from bots.domain.bot import BotMode, BotStatus
from bots.templatetags import parts
from bots.templatetags.shell import state_mark
from market.domain.enums import PositionSide
from risk.domain import TradingState

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def drawn(source: str, **context) -> str:
    template = engines["django"].from_string("{% load figures parts shell %}" + source)
    return " ".join(template.render(context).split())


@pytest.mark.parametrize(
    ("share", "expected"), [("0.394", "39.4%"), ("0", "0.0%"), ("1.2", "100.0%"), ("-0.1", "0.0%")]
)
def test_a_length_stays_inside(share, expected):
    assert parts.length(D(share)) == expected


@pytest.mark.parametrize(
    ("used", "expected"),
    [("0", ""), ("0.7499", ""), ("0.75", "near"), ("0.999", "near"), ("1", "hit"), ("3", "hit")],
)
def test_the_state_of_a_meter(used, expected):
    assert parts.meter_state(D(used)) == expected


def test_a_meter_is_drawn_without_a_style_and_named():
    html = drawn('{% meter used "Drawdown" soft=soft %}', used=D("0.82"), soft=D("0.533"))

    assert 'class="meter near" role="meter" aria-label="Drawdown"' in html
    assert 'aria-valuenow="82"' in html and 'width="82.0%"' in html and 'x1="53.3%"' in html


def test_a_limit_says_in_words_that_it_is_reached():
    html = drawn('{% limit "Daily loss" used "3.1%" "3%" %}', used=D("1.03"))

    assert "· at the limit" in html and "3.1%" in html and "of 3%" in html


@pytest.mark.parametrize(
    ("side", "stop", "target", "entry", "mark", "expected"),
    [
        # The sample of the design: a long, a short, a losing long.
        (LONG, "100420", "104300", "101846.2", "102391.4", ("37.6%", "50.8%", True)),
        (SHORT, "3472", "3270", "3412.55", "3398.10", ("30.7%", "37.4%", True)),
        (LONG, "181.90", "199", "187.42", "183.06", ("33.3%", "9.4%", False)),
        # Beyond an end the mark stands on it.
        (LONG, "100", "200", "150", "300", ("50.0%", "97.0%", True)),
        (SHORT, "200", "100", "150", "300", ("50.0%", "3.0%", False)),
    ],
)
def test_a_rail(side, stop, target, entry, mark, expected):
    rail = parts.rail_of(side, stop=D(stop), target=D(target), entry=D(entry), mark=D(mark))

    assert (rail.entry, rail.mark, rail.gains) == expected


def test_a_rail_whose_stop_is_beyond_its_target_is_not_drawn():
    assert parts.rail_of(LONG, stop=D(200), target=D(100), entry=D(150), mark=D(150)) is None


def test_a_rail_without_target_says_so_and_a_near_stop_is_marked():
    html = drawn(
        "{% rail side entry mark stop None tick=tick %}",
        side=LONG,
        entry=D(100),
        mark=D("100.5"),
        stop=D("99.9"),
        tick=D("0.1"),
    )

    assert "<svg" not in html and "no target" in html
    assert 'stop <b>99.900</b> <span class="close-by">\u22120.6%</span>' in html


def test_a_position_without_a_stop_is_called_out():
    html = drawn("{% rail side entry mark None None %}", side=LONG, entry=D(1), mark=D(1))

    assert '<span class="close-by">no stop planned</span>' in html


def test_a_sum_agrees_with_its_terms():
    terms = [("Realised", D("0.004")), ("Fees", D("0.004")), ("Funding", D(-1))]
    html = drawn('{% sum_of terms "Net today" %}', terms=terms)

    assert html.count("<li>") == 3
    assert "<b>+0.01</b>" in html and "<b>0.00</b>" in html
    assert '<b><span class="down">\u22120.99</span></b>' in html


def test_the_total_of_a_balance_has_no_sign():
    html = drawn('{% sum_of terms "Equity" total_sign=False %}', terms=[("Paid in", D(5))])

    assert '<li class="total"><span>Equity</span> <b>5.00</b></li>' in html


STATES = [
    (BotStatus.ACTIVE, TradingState.ACTIVE, False, ("", ""), "Active"),
    (BotStatus.ACTIVE, None, False, ("", ""), "Active"),
    (BotStatus.ACTIVE, TradingState.REDUCING, False, ("warn", "reducing"), "Reducing"),
    (BotStatus.ACTIVE, TradingState.HALTED, False, ("bad", "halted"), "Halted"),
    (BotStatus.ACTIVE, TradingState.REDUCING, True, ("bad", "halted"), "Halted"),
    (BotStatus.PAUSED, TradingState.HALTED, True, ("off", "paused"), "Paused"),
    (BotStatus.DRAFT, None, False, ("off", "draft"), "Draft"),
    (BotStatus.ARCHIVED, None, False, ("off", "archived"), "Archived"),
]


@pytest.mark.parametrize(("status", "state", "halted", "mark", "word"), STATES)
def test_the_state_of_a_bot(status, state, halted, mark, word):
    assert state_mark(status, state, is_halted=halted) == mark
    html = drawn("{% bot_badge status state halted %}", status=status, state=state, halted=halted)
    assert html.endswith(f"{word}</span>") and 'class="badge' in html


@pytest.mark.parametrize("mode", BotMode)
def test_a_mode_is_written_out(mode):
    expected = f'<span class="tag {mode.lower()}">{mode}</span>'

    assert drawn("{% mode_tag mode %}", mode=mode) == expected


@pytest.mark.parametrize("word", ["approved", "clamped", "denied", "held", "skipped", "failed"])
def test_a_verdict_has_a_drawing_and_its_word(word):
    html = drawn("{% verdict word %}", word=word)

    assert f"</svg>{word}</span>" in html


def test_the_next_page_keeps_the_rest_of_the_address(rf):
    request = rf.get("/bots/1/", {"tab": "orders", "after": "old"})

    html = drawn("{% pager 'a~b' text='Earlier' %}", request=request)

    assert 'href="?tab=orders&amp;after=a~b"' in html and "Earlier" in html
    assert drawn("{% pager '' %}", request=request) == ""


def test_what_is_written_by_people_is_escaped():
    for tag in (
        "{% empty nasty nasty action=nasty href='/' %}",
        "{% badge nasty %}",
        "{% limit nasty 1 nasty nasty %}",
    ):
        html = drawn(tag, nasty="<b onclick=x>")
        assert "<b onclick" not in html and "&lt;b onclick" in html
