"""The user (an e-mail address, a password, a time zone), and what is kept about what users did.

There is no user name. The trap: `Ann@example.org` and `ann@example.org` are one person to every
mail server, so the database itself refuses the second one, and login finds either spelling. Of an API
token only a hash is kept; the text is shown once.
"""

from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower
from django.utils import timezone

from tradingagent.accounts.access import register
from tradingagent.accounts.append_only import AppendOnlyModel
from tradingagent.accounts.secrets import HIDDEN, Secret


@cache
def time_zones() -> frozenset[str]:
    """Return every IANA name; cached, because the standard library walks folders for it."""
    return frozenset(available_timezones())


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless `name` is an IANA time zone, such as Europe/Berlin."""
    if name not in time_zones():
        raise ValidationError(
            "%(name)s is not an IANA time zone such as Europe/Berlin.", params={"name": name}
        )


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a user by e-mail in any spelling; lowered by the database, to use its index."""
        return self.alias(email_lower=Lower("email")).get(email_lower=Lower(Value(username)))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a new user; without a password nobody can log in as them.

        Raises ValidationError for a bad or already used e-mail or a bad time zone.
        """
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean()
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    # `unique` is implied by the constraint below; Django's own checks of the login field want it.
    email = models.EmailField(
        "e-mail address",
        unique=True,
        error_messages={"unique": "A user with this e-mail address exists already."},
    )
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="IANA name, such as Europe/Berlin. Pages show local time; the day of the daily "
        "loss limit starts at this zone's midnight.",
    )
    is_staff = models.BooleanField("may use the admin", default=False)
    is_active = models.BooleanField(
        "active", default=True, help_text="Switch this off instead of deleting the user."
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique_in_any_case",
                violation_error_message="A user with this e-mail address exists already.",
            ),
        ]

    def __str__(self) -> str:
        return self.email


class Scope(StrEnum):
    """What an API token may do: READ looks, TRADE acts."""

    READ = "READ"
    TRADE = "TRADE"


SCOPE_SETS = ("READ", "TRADE", "READ TRADE")


class ApiToken(models.Model):
    """A program's way in, as one user. The token itself is shown once; here are its start and its hash."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=24, db_index=True, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    granted = models.CharField(max_length=24, help_text="Scopes, separated by a space.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(
                condition=Q(granted__in=SCOPE_SETS), name="api_token_scopes_known"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="api_token_expires_later"
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__gte=F("created_at")), name="api_token_revoked_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def scopes(self) -> frozenset[Scope]:
        return frozenset(Scope(word) for word in self.granted.split())


class AuditEncoder(DjangoJSONEncoder):
    """JSON of what changed: Secrets hidden, sets as sorted lists, Decimals and instants as text."""

    def default(self, o: Any) -> Any:
        if isinstance(o, Secret):
            return HIDDEN
        if isinstance(o, (set, frozenset)):
            return sorted(o, key=str)
        if isinstance(o, Decimal):
            return f"{o.normalize():f}"
        return super().default(o)


class AuditEntry(AppendOnlyModel):
    """Who did what to which row. Never changed, never deleted; holds no secret."""

    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: no person, see the label.",
    )
    actor_label = models.CharField(max_length=254, help_text="An e-mail, `command` or `system`.")
    action = models.CharField(max_length=80)
    target_type = models.CharField(max_length=80)
    target_id = models.CharField(max_length=64, blank=True)
    before = models.JSONField(null=True, blank=True, encoder=AuditEncoder)
    after = models.JSONField(null=True, blank=True, encoder=AuditEncoder)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["target_type", "target_id"], name="audit_target")]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action} {self.target_type} {self.target_id}".rstrip()


class IdempotencyKey(models.Model):
    """A request that a program may send again: under way while `status` is empty, then its answer."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="idempotency_keys"
    )
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request.")
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=Q(status__isnull=True, body__isnull=True)
                | Q(status__isnull=False, status__gte=100, status__lte=599),
                name="idempotency_answer_whole",
            ),
        ]
        indexes = [models.Index(fields=["user", "created_at"], name="idempotency_user_created")]

    def __str__(self) -> str:
        return f"{self.key} of user {self.user_id}"


register(User, "id")
register(ApiToken, "user")
register(AuditEntry, "actor")
register(IdempotencyKey, "user")
