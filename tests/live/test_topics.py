"""Topics and parts: rendered from the subject alone, shared contexts read once, nothing without its id."""

import pytest

from bots.live import topics
from bots.live.topics import Part, Topic
from tests.live.stage import Sample
from tradingagent.accounts.access import NotYours


def topic(**parts: Part) -> Topic:
    return Topic(kind="sample", find=lambda user, key: key, bots_of=lambda subject: (), parts=parts)


def test_a_kind_is_registered_once(sample: Sample) -> None:
    with pytest.raises(ValueError, match="twice"):
        topics.register(sample.topic)


@pytest.mark.parametrize("kind", ["", "Bot", "bot:1", "bot-x", "a b"])
def test_a_kind_is_a_word(kind: str, sample: Sample) -> None:
    with pytest.raises(ValueError, match="no kind of topic"):
        topics.register(Topic(kind=kind, find=lambda *_: 1, bots_of=lambda _: (), parts={}))


def test_an_unknown_kind_is_like_one_that_is_not_yours(sample: Sample) -> None:
    with pytest.raises(NotYours):
        topics.topic_of("nothing")


def test_parts_that_share_a_function_share_its_call(sample: Sample) -> None:
    calls = []

    def shown(subject: str) -> dict[str, object]:
        calls.append(subject)
        return {"name": subject, "events": 3}

    totals = Part(template="sample.html#totals", context=shown)
    found = topics.rendered(
        topic(totals=totals, events=Part(template="sample.html#events", context=shown)), "it"
    )
    assert calls == ["it"]
    assert "<h2>it</h2>" in found["sample-totals"]
    assert found["sample-events"] == '<ul id="sample-events"><li>3</li></ul>'


def test_what_a_part_shows_is_escaped(sample: Sample) -> None:
    part = Part(template="sample.html#totals", context=lambda _: {"name": "<script>"})
    assert "&lt;script&gt;" in topics.rendered(topic(totals=part), "it")["sample-totals"]


def test_the_page_gets_what_all_its_parts_show(sample: Sample, monkeypatch) -> None:
    calls = []

    def common(subject: str) -> dict[str, object]:
        calls.append(subject)
        return {"name": subject}

    made = topic(
        a=Part(template="x", context=common),
        b=Part(template="x", context=common),
        c=Part(template="x", context=lambda subject: {"events": 1}),
    )
    monkeypatch.setattr(topics, "_topics", {"sample": made})
    assert topics.page_context("sample", "it") == {"name": "it", "events": 1}
    assert calls == ["it"]


def test_one_name_for_two_things_is_refused(sample: Sample, monkeypatch) -> None:
    made = topic(
        a=Part(template="x", context=lambda _: {"rows": 1}),
        b=Part(template="x", context=lambda _: {"rows": 2}),
    )
    monkeypatch.setattr(topics, "_topics", {"sample": made})
    with pytest.raises(ValueError, match="both name rows"):
        topics.page_context("sample", "it")


def test_a_part_that_fails_keeps_no_other_back(sample: Sample, caplog) -> None:
    def fails(subject: str) -> dict[str, object]:
        raise LookupError("it is gone")

    found = topics.rendered(
        topic(
            totals=Part(template="sample.html#totals", context=fails),
            rootless=Part(template="sample.html#rootless", context=lambda _: {}),
            events=Part(template="sample.html#events", context=lambda _: {"events": 2}),
            missing=Part(template="sample.html#missing", context=lambda _: {}),
        ),
        "it",
    )
    assert list(found) == ["sample-events"]
    told = caplog.text
    assert "the part totals of sample" in told
    assert "its root element has no id sample-rootless" in told
    assert "the part missing of sample" in told
