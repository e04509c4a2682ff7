"""What a person asks of a bot's desk: stored as an action, done on the desk's own queue, once.

The action's row is the claim: PENDING → RUNNING by compare-and-swap, so a task that is delivered twice
acts once. What closes goes back to PENDING until nothing is left; the sweep sends it again.
"""

import logging
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bots import acts, events, models, runtime
from bots.acts import DeskBusy, ManualOrder
from bots.domain.events import EventKind
from bots.enqueue import enqueue
from bots.models import CLOSING, ActionKind, ActionStatus
from bots.refusals import REFUSALS
from market.domain.canonical import canonical_value
from market.domain.enums import PositionSide
from market.domain.numbers import plain
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit

logger = logging.getLogger(__name__)

ORDER_KEEPS: Final = timedelta(minutes=1)
"""An order by hand is of the market that its person saw: later than this it is not sent."""
LONGEST_REQUEST_ID: Final = 60
OUR_REQUESTS: Final = "halt:"


def flatten_bot(bot_id: UUID, *, by: User | str, request_id: str = "") -> models.ManualAction:
    """Ask for everything of a bot to be closed and its entries cancelled, at once."""
    return _ask(bot_id, ActionKind.FLATTEN, {}, by, request_id)


def close_position(
    bot_id: UUID, symbol: str, *, by: User | str, request_id: str = ""
) -> models.ManualAction:
    """Ask for one position to be closed. Raises ValueError for a symbol the bot does not hold."""
    if not models.Position.objects.filter(bot_id=bot_id, symbol=symbol, is_dust=False).exists():
        raise ValueError(f"nothing is held of {symbol}")
    return _ask(bot_id, ActionKind.CLOSE, {"symbol": symbol}, by, request_id)


def order_by_hand(
    bot_id: UUID, wish: ManualOrder, *, by: User | str, request_id: str = ""
) -> models.ManualAction:
    """Ask for an entry, through the same limits as the bot's own. Raises ValueError for one without a
    size, or with two."""
    if (wish.quantity is None) == (wish.notional is None):
        raise ValueError("an order has a quantity or a notional, one of them")
    wanted: Any = canonical_value(asdict(wish))
    return _ask(bot_id, ActionKind.ORDER, wanted, by, request_id)


def _ask(
    bot_id: UUID, kind: ActionKind, wanted: dict[str, Any], by: User | str, request_id: str
) -> models.ManualAction:
    check_request_id(request_id)
    with transaction.atomic():
        action, is_new = models.ManualAction.objects.get_or_create(
            bot_id=bot_id,
            request_id=request_id or uuid4().hex,
            defaults={
                "kind": kind,
                "wanted": wanted,
                "requested_by": by.email if isinstance(by, User) else by,
                "requested_at": timezone.now(),
            },
        )
        if (action.kind, action.wanted) != (kind, wanted):
            raise ValueError(f"the request id {request_id!r} was used for something else")
        if is_new:
            audit(by, f"ask_{kind.lower()}", action.bot, after=wanted)
            _tell(action)
            enqueue("bots.perform_action", action_id=str(action.pk))
    return action


def check_request_id(request_id: str) -> None:
    """Raise ValueError for an id that is too long, or that only the program itself may use."""
    if len(request_id) > LONGEST_REQUEST_ID:
        raise ValueError(f"a request id has at most {LONGEST_REQUEST_ID} characters")
    if request_id.startswith(OUR_REQUESTS):
        raise ValueError(f"a request id does not begin with {OUR_REQUESTS!r}")


def flatten_for_halt(bot_id: UUID, halt_id: int, *, by: User | str) -> models.ManualAction | None:
    """Ask for a bot to be flattened because of a halt; None while that is under way. One that was done is asked
    for again: a fill came late."""
    with transaction.atomic():
        action, is_new = models.ManualAction.objects.get_or_create(
            bot_id=bot_id,
            request_id=f"{OUR_REQUESTS}{halt_id}",
            defaults={
                "kind": ActionKind.FLATTEN,
                "requested_by": by.email if isinstance(by, User) else by,
                "requested_at": timezone.now(),
            },
        )
        done = models.ManualAction.objects.filter(pk=action.pk, status=ActionStatus.DONE)
        if not is_new and not done.update(status=ActionStatus.PENDING, done_at=None):
            return None
        action.refresh_from_db()
        _tell(action)
        enqueue("bots.perform_action", action_id=str(action.pk))
    return action


def perform_action(action_id: UUID) -> models.ManualAction | None:
    """Do what was asked, once; None when somebody did or does it, or is at the desk.

    A close stays wanted until nothing is left, whatever stands in its way; an order by hand fails at the
    first obstacle, and when it waited too long. The flatten of a halt is wanted while the halt lasts. The row
    says what became of it, PENDING: try again.
    """
    now = timezone.now()
    waiting = models.ManualAction.objects.filter(pk=action_id, status=ActionStatus.PENDING)
    if not waiting.update(status=ActionStatus.RUNNING, taken_at=now):
        return None
    action = models.ManualAction.objects.get(pk=action_id)
    refusal = _not_wanted(action)
    if refusal is not None:
        return _ended(action, ActionStatus.FAILED, {"error": refusal})
    closes, is_done = action.kind in CLOSING, True
    try:
        result = _act(action)
        is_done = not closes or bool(result["is_flat"])
        status = ActionStatus.DONE
    except DeskBusy:
        _put_back(action, {}, at_once=True)
        return None
    except Exception as error:
        if not isinstance(error, REFUSALS):
            logger.exception("action %s failed", action_id)
        result, status = {"error": str(error) or type(error).__name__}, ActionStatus.FAILED
        is_done = not closes
    if not is_done:
        _put_back(action, result)
        action.refresh_from_db()
        return action
    return _ended(action, status, result)


def _ended(
    action: models.ManualAction, status: ActionStatus, result: dict[str, Any]
) -> models.ManualAction:
    with transaction.atomic():
        action.status, action.result, action.done_at = status, result, timezone.now()
        if _mine(action).update(status=status, result=result, done_at=action.done_at):
            _tell(action)
    return action


def _not_wanted(action: models.ManualAction) -> str | None:
    """Why an action is not done any more; None while it is wanted."""
    if action.kind == ActionKind.ORDER:
        return _too_late(action)
    if not action.request_id.startswith(OUR_REQUESTS):
        return None
    halt_id = int(action.request_id.removeprefix(OUR_REQUESTS))
    if models.TradingHalt.objects.filter(pk=halt_id, resumed_at__isnull=True).exists():
        return None
    return "the halt was ended before everything was closed: what is opened from then on stays open"


def _too_late(action: models.ManualAction) -> str | None:
    """Why an order by hand is not sent any more; None while it may be. Asked again at its claim: a worker that
    slept must not send what the sweep has told to have failed, which it says later than this."""
    if timezone.now() - action.requested_at <= ORDER_KEEPS:
        return None
    return "the order waited too long to be sent: the market has moved on"


def _mine(action: models.ManualAction) -> QuerySet[models.ManualAction]:
    """The row, while nobody took it from us."""
    return models.ManualAction.objects.filter(
        pk=action.pk, status=ActionStatus.RUNNING, taken_at=action.taken_at
    )


def _put_back(
    action: models.ManualAction, result: dict[str, Any], *, at_once: bool = False
) -> None:
    """Try again: at once when somebody was at the desk, else with the next sweep."""
    changed = _mine(action).update(status=ActionStatus.PENDING, result=result)
    if changed and at_once:
        enqueue("bots.perform_action", action_id=str(action.pk))


def _act(action: models.ManualAction) -> dict[str, Any]:
    running = runtime.open_desk(
        runtime.load_bot(action.bot_id), decides=False, recheck=lambda _: _too_late(action)
    )
    match action.kind:
        case ActionKind.ORDER:
            ordered = acts.order_by_hand(running.desk, _wish(action.wanted), f"action:{action.pk}")
            result: dict[str, Any] = asdict(ordered)
        case _:
            symbols = {action.wanted["symbol"]} if action.kind == ActionKind.CLOSE else None
            closed = acts.close_out(running.desk, symbols)
            result = {
                "is_flat": closed.is_flat,
                "left": {symbol: plain(held) for symbol, held in closed.left.items()},
                "entries_left": list(closed.entries_left),
                "reason": closed.reason,
            }
    running.finish()
    return result


def _wish(wanted: dict[str, Any]) -> ManualOrder:
    amounts = ("leverage", "quantity", "notional", "stop_price", "target_price")
    return ManualOrder(
        symbol=wanted["symbol"],
        side=PositionSide(wanted["side"]),
        **{name: Decimal(wanted[name]) for name in amounts if wanted[name] is not None},
    )


def _tell(action: models.ManualAction) -> None:
    payload = {"id": str(action.pk), "kind": action.kind, "status": action.status}
    events.emit(action.bot_id, [(timezone.now(), EventKind.ACTION, payload)])
