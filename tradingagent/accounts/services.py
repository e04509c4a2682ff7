"""What is written about users: the audit trail, API tokens, answers to repeat, keys under a new key.

Permissions are asked by the doors (`access`), not here. The trap: a token or key that is logged, kept
in clear, or compared byte by byte.
"""

import hashlib
import hmac
import re
import secrets as random_source
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.apps import apps
from django.db import models, transaction
from django.db.models import Q, TextField, Value
from django.db.models.functions import Cast
from django.utils import timezone

from tradingagent.accounts.models import (
    ApiToken,
    AuditEntry,
    IdempotencyKey,
    Scope,
    User,
    validate_time_zone,
)
from tradingagent.accounts.secrets import (
    EncryptedTextField,
    KeysUnusable,
    Secret,
    is_sealed_by_first,
    seal,
)

COMMAND: Final = "command"
SYSTEM: Final = "system"

# --- The audit trail -------------------------------------------------------------------------------


def audit(
    actor: User | str,
    action: str,
    target: models.Model | str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Write down who did what; call it in the transaction of the act.

    `actor` is a user, or COMMAND or SYSTEM; `target` a saved row, or a word where there is none.
    `before` and `after` are what changed (`facts` gives a whole row); Secrets in them are hidden.
    """
    person = actor if isinstance(actor, User) else None
    row = target if isinstance(target, models.Model) else None
    return AuditEntry.objects.create(
        actor=person,
        actor_label=person.email if person is not None else str(actor),
        action=action,
        target_type=str(target) if row is None else row._meta.label,
        target_id="" if row is None else str(row.pk),
        before=before,
        after=after,
    )


def facts(row: models.Model) -> dict[str, Any]:
    """Every column of a row by name, for `audit`."""
    return {field.attname: field.value_from_object(row) for field in row._meta.concrete_fields}


# --- Users -----------------------------------------------------------------------------------------


def note_sign_up(user: User, time_zone: str) -> None:
    """Put down that somebody signed up, and their time zone. Raises ValidationError as below."""
    with transaction.atomic():
        audit(user, "sign_up", user)
        change_time_zone(user, time_zone, by=user)


def change_time_zone(user: User, name: str, *, by: User | str) -> User:
    """Show this user's pages in another zone; their daily limits turn at its midnight from now on.

    The same zone again changes nothing. Raises ValidationError for a name that is no IANA zone.
    """
    validate_time_zone(name)
    with transaction.atomic():
        before = (
            User.objects.select_for_update().values_list("time_zone", flat=True).get(pk=user.pk)
        )
        if before != name:
            User.objects.filter(pk=user.pk).update(time_zone=name)
            audit(by, "change_time_zone", user, {"time_zone": before}, {"time_zone": name})
    user.time_zone = name
    return user


# --- API tokens ------------------------------------------------------------------------------------

_MARK: Final = "ta"
_SHAPE: Final = re.compile(rf"({_MARK}_[0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}")
_TOUCH_EVERY: Final = timedelta(minutes=1)


def issue_token(
    user: User, name: str, scopes: Collection[Scope], expires: datetime | None
) -> tuple[ApiToken, Secret]:
    """Make a token; its text is in the Secret and nowhere else. `expires` None: it never does.

    Raises ValueError for no scope or an instant that has passed.
    """
    now = timezone.now()
    if not scopes:
        raise ValueError("a token needs a scope: READ, TRADE or both")
    if expires is not None and expires <= now:
        raise ValueError(f"a token can't expire in the past ({expires.isoformat()})")
    prefix = f"{_MARK}_{random_source.token_hex(6)}"
    text = Secret(f"{prefix}_{random_source.token_urlsafe(32)}")
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=prefix,
            hash=_token_hash(text),
            granted=" ".join(sorted(Scope(scope) for scope in scopes)),
            created_at=now,
            expires_at=expires,
        )
        after = {"name": name, "scopes": token.granted, "expires_at": expires}
        audit(user, "issue_token", token, after=after)
    return token, text


def revoke_token(token: ApiToken, by: User | str) -> ApiToken:
    """End a token now. Revoking it again changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now):
            audit(by, "revoke_token", token, {"revoked_at": None}, {"revoked_at": now})
    token.refresh_from_db()
    return token


def find_token(text: str) -> ApiToken | None:
    """The token of this text, its user loaded; None for one that is unknown, revoked, expired, or of a
    user who may not log in. Notes the use, at most once a minute."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    hashed = _token_hash(Secret(text))
    now = timezone.now()
    found = None
    for token in ApiToken.objects.select_related("user").filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now),
        prefix=shape.group(1),
        revoked_at__isnull=True,
        user__is_active=True,
    ):
        if hmac.compare_digest(token.hash, hashed):
            found = token
    if found is not None:
        _touch(found, now)
    return found


def _token_hash(text: Secret) -> str:
    return hashlib.sha256(text.reveal().encode()).hexdigest()


def _touch(token: ApiToken, now: datetime) -> None:
    if token.last_used_at is not None and token.last_used_at > now - _TOUCH_EVERY:
        return
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    token.last_used_at = now


# --- Requests that may be sent again ---------------------------------------------------------------

ANSWERS_KEPT: Final = timedelta(hours=24)


class KeyReused(Exception):
    """The same idempotency key came with another request."""


class StillRunning(Exception):
    """The first request with this key has no answer yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What the first request was answered: HTTP status, and the body in JSON's own types."""

    status: int
    body: Any


def remember(user: User, key: str, fingerprint: str) -> StoredAnswer | None:
    """Claim a request, or get the answer of the one before it.

    None: it is yours; act, then call `store_answer`, or `forget_request` when nothing was done. Keys
    are kept for ANSWERS_KEPT, a claim whose process died included. Raises KeyReused, StillRunning.
    """
    now = timezone.now()
    IdempotencyKey.objects.filter(user=user, created_at__lte=now - ANSWERS_KEPT).delete()
    row, is_new = IdempotencyKey.objects.get_or_create(
        user=user, key=key, defaults={"fingerprint": fingerprint, "created_at": now}
    )
    if is_new:
        return None
    if not hmac.compare_digest(row.fingerprint.encode(), fingerprint.encode()):
        raise KeyReused(f"the idempotency key {key!r} was used for another request")
    if row.status is None:
        raise StillRunning(f"the first request with the key {key!r} has no answer yet")
    return StoredAnswer(status=row.status, body=row.body)


def store_answer(user: User, key: str, status: int, body: Any) -> None:
    """Keep the answer of a claimed request. Raises LookupError when there is no open claim."""
    claim = IdempotencyKey.objects.filter(user=user, key=key, status__isnull=True)
    if not claim.update(status=status, body=body):
        raise LookupError(f"no request with the key {key!r} is under way")


def forget_request(user: User, key: str) -> None:
    """Give up a claim whose request did nothing, so that it may be sent again."""
    IdempotencyKey.objects.filter(user=user, key=key, status__isnull=True).delete()


# --- New encryption keys ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What became of one column: rows sealed anew, rows that were so already, rows no key opens."""

    column: str
    rotated: int = 0
    current: int = 0
    unreadable: int = 0


def rotate_keys(*, by: User | str, batch: int = 200) -> list[Rotation]:
    """Seal every stored secret under the first of ENCRYPTION_KEYS; one Rotation per column.

    Put the new key first and restart every process before, drop the old one after: a process that does
    not know the new key goes on sealing under the old one. Safe while others write, and after a crash
    simply run again: rows done are skipped, and a row that changed meanwhile is read again.
    """
    done = [_rotate_column(model, name, batch) for model, name in encrypted_columns()]
    counts = {one.column: [one.rotated, one.current, one.unreadable] for one in done}
    audit(by, "rotate_keys", "ENCRYPTION_KEYS", after=counts)
    return done


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """(model, column) of every EncryptedTextField there is."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy:
            continue
        for field in model._meta.local_concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field.name


def _rotate_column(model: type[models.Model], name: str, batch: int) -> Rotation:
    rotated = current = unreadable = 0
    for pk, token in _stored_tokens(model, name, batch):
        if is_sealed_by_first(token):
            current += 1
            continue
        try:
            rotated += _seal_anew(model, name, pk, token)
        except KeysUnusable:
            unreadable += 1
    return Rotation(
        column=f"{model._meta.label}.{name}",
        rotated=rotated,
        current=current,
        unreadable=unreadable,
    )


def _tokens(model: type[models.Model], name: str) -> models.QuerySet[Any]:
    """The rows with their stored token as `stored`: the column itself can't be filtered."""
    rows = model._base_manager.filter(**{f"{name}__isnull": False})
    with_token: models.QuerySet[Any] = rows.annotate(stored=Cast(name, TextField()))
    return with_token


def _stored_tokens(model: type[models.Model], name: str, batch: int) -> Iterator[tuple[Any, str]]:
    """(pk, token) of every row, read in batches by key, so that no cursor stays open."""
    rows = _tokens(model, name).order_by("pk").values_list("pk", "stored")
    page = list(rows[:batch])
    while page:
        yield from page
        page = list(rows.filter(pk__gt=page[-1][0])[:batch])


def _seal_anew(model: type[models.Model], name: str, pk: Any, token: str) -> int:
    """Seal one row anew unless it is so by now; 1 when it was done here. Raises KeysUnusable."""
    mine: str | None = token
    while mine is not None and not is_sealed_by_first(mine):
        fresh = seal(Secret.sealed(mine))
        row = _tokens(model, name).filter(pk=pk)
        if row.filter(stored=mine).update(**{name: Value(fresh, TextField())}):
            return 1
        mine = row.values_list("stored", flat=True).first()
    return 0
