"""What a person asks of a bot's desk: stored as an action, done on the desk's own queue, once.

The action's row is the claim: PENDING → RUNNING by compare-and-swap, so a task that is delivered twice
acts once.
"""

from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from bots import acts, events, models, runtime
from bots.acts import DeskBusy, ManualOrder
from bots.domain.events import EventKind
from bots.enqueue import enqueue
from bots.models import CLOSING, ActionKind, ActionStatus
from bots.ports import LeaseLost
from market.domain.canonical import canonical_value
from market.domain.enums import PositionSide
from market.domain.numbers import plain
from market.errors import VenueUnavailable
from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit


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
        if is_new:
            audit(by, f"ask_{kind.lower()}", action.bot, after=wanted)
            _tell(action)
            enqueue("bots.perform_action", action_id=str(action.pk))
    return action


def perform_action(action_id: UUID) -> models.ManualAction | None:
    """Do what was asked, once; None when somebody did or does it. The row says what became of it."""
    waiting = models.ManualAction.objects.filter(pk=action_id, status=ActionStatus.PENDING)
    if not waiting.update(status=ActionStatus.RUNNING):
        return None
    action = models.ManualAction.objects.get(pk=action_id)
    try:
        result = _act(action)
        status = ActionStatus.DONE
    except DeskBusy:
        _put_back(action_id)
        return None
    except (LeaseLost, VenueUnavailable, runtime.CannotTrade, ValueError) as error:
        if isinstance(error, LeaseLost) and action.kind in CLOSING:
            _put_back(action_id)
            return None
        result, status = {"error": str(error)}, ActionStatus.FAILED
    with transaction.atomic():
        action.status, action.result, action.done_at = status, result, timezone.now()
        action.save(update_fields=["status", "result", "done_at"])
        _tell(action)
    return action


def _put_back(action_id: UUID) -> None:
    """Somebody else is at the desk: the next delivery, or the sweep, tries again."""
    models.ManualAction.objects.filter(pk=action_id).update(status=ActionStatus.PENDING)
    enqueue("bots.perform_action", action_id=str(action_id))


def _act(action: models.ManualAction) -> dict[str, Any]:
    running = runtime.open_desk(runtime.load_bot(action.bot_id))
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
