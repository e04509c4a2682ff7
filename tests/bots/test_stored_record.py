"""What a cycle keeps: packed small, and given back byte for byte."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots import stored_record
from bots.cycle import run_cycle
from bots.stored_record import _with_shared, _without_shared, pack, unpack
from llm.domain import DecisionAction
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from tests.bots.desks import buys, says, stand

REPLY = {
    "summary": "I buy the break.",
    "decisions": [
        {"symbol": "TEST", "action": "buy_to_enter", "confidence": 0.8, "notional": 1500, "leverage": 5,
         "stop_loss": 95, "take_profit": 110, "justification": "It broke out, with volume."}
    ],
}  # fmt: skip


def records():
    """Of a rule that trades, of one that holds, and of a model."""
    s = stand(None, buys(), says(DecisionAction.CLOSE))
    s.trader.thinking = lambda: s.clock.advance_to(s.clock.now() + timedelta(seconds=1))
    yield from (run_cycle(s.desk, slot) for slot in "123")
    s = stand()
    chat = ScriptedChat(lines=[json.dumps(REPLY)] * 2)
    object.__setattr__(s.desk, "trader", LLMTrader(chat=chat))
    yield from (run_cycle(s.desk, slot) for slot in "12")


def test_a_record_comes_back_as_it_was() -> None:
    for record in records():
        data, blobs = pack(record)
        assert unpack(data, blobs) == json.loads(record.evidence())
        assert pack(record) == (data, blobs)


def test_the_words_stay_as_they_are() -> None:
    words = Path(stored_record.__file__).with_name("record_words.txt").read_bytes()
    assert hashlib.sha256(words).hexdigest() == (
        "45aee2f27539d45d2d551d51bbe322ccef13830db85614d6774b182f8cdfda5f"
    )


def test_bytes_packed_otherwise_are_refused() -> None:
    with pytest.raises(ValueError, match="nobody knows"):
        unpack(b"2whatever")


def test_what_records_share_is_stored_once() -> None:
    first, second = list(records())[:2]
    assert pack(first)[1].keys() & pack(second)[1].keys()


@pytest.mark.django_db
def test_a_missing_blob_is_no_half_record() -> None:
    data, blobs = pack(next(iter(records())))
    assert blobs
    with pytest.raises(LookupError):
        unpack(data)
    stored_record.forget()
    stored_record.store_blobs(blobs)
    assert unpack(data) == unpack(data, blobs)


texts = st.text(max_size=6)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts, st.just("0" * 64)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(
            st.one_of(
                texts,
                st.sampled_from(
                    ["joined", "blob", "literal", "facts", "limits", "system", "groups"]
                ),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)


@given(trees)
def test_any_tree_comes_back(tree) -> None:
    blobs: dict[str, bytes] = {}
    packed = json.loads(json.dumps(_without_shared(tree, blobs)))
    assert _with_shared(packed, blobs) == tree


def test_forgetting_is_for_emptied_databases() -> None:
    stored_record.remember({"a": b""})
    stored_record.forget()
    assert not stored_record._stored
