"""The user: an e-mail address, a password, a time zone.

There is no user name. The trap: `Ann@example.org` and `ann@example.org` are one person to every
mail server, so the database itself refuses the second one, and login finds either spelling.
"""

from functools import cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower
from django.utils import timezone


@cache
def _time_zones() -> frozenset[str]:
    """Return every IANA name; cached, because the standard library walks folders for it."""
    return frozenset(available_timezones())


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless `name` is an IANA time zone, such as Europe/Berlin."""
    if name not in _time_zones():
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
