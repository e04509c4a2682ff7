"""Texts that must not be seen: a value that never shows itself, and a column that keeps it encrypted.

Rows hold Fernet tokens; the keys are the setting ENCRYPTION_KEYS (the first encrypts, all decrypt). A
token is opened only by `Secret.reveal`, so lists, dumps and admin pages work without any key. The trap:
a key that is a plain `str` for one moment in a model is a key in the next traceback, so a bare `str` is
refused, and so is every look-up by content.
"""

import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models

HIDDEN = "••••"


class KeysUnusable(Exception):
    """ENCRYPTION_KEYS is missing, malformed, or opens not what was stored; the message says which."""


class Secret:
    """A text that shows itself only to who calls `reveal`.

    Equal to a Secret of the same text, to nothing else; not hashable, not picklable (so it can be no
    cache entry and no task argument). Raises TypeError when made of anything but a text.
    """

    __slots__ = ("_text", "_token")

    _text: str | None
    _token: str | None

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a Secret is made of a text, not of a {type(text).__name__}")
        self._text = text
        self._token = None

    @classmethod
    def sealed(cls, token: str) -> Self:
        """A secret as it is stored. Nothing is opened before `reveal`."""
        secret = cls.__new__(cls)
        secret._text = None
        secret._token = token
        return secret

    def reveal(self) -> str:
        """The text itself. Raises KeysUnusable when it is stored under a key that is not there."""
        text = self._text if self._text is not None else _opened(_cipher(), self._token or "")
        if text is None:
            raise KeysUnusable(
                "no key of ENCRYPTION_KEYS opens what is stored: add the key that sealed it"
            )
        return text

    def token(self) -> str:
        """What may be stored or dumped: as it was stored, or sealed under the first key."""
        return self._token if self._token is not None else seal(self)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret can't be pickled: pass the id of the row that holds it")

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(None)


def seal(secret: Secret) -> str:
    """The Fernet token of a secret under the first key. Raises KeysUnusable."""
    return _cipher().encrypt(secret.reveal().encode()).decode()


def is_sealed_by_first(token: str) -> bool:
    """Whether the first key alone opens a token: such a row needs no rotation. Raises KeysUnusable."""
    return _opened(_cipher(first_only=True), token) is not None


# Errors are raised only where neither a key nor a token is a local variable: error pages show those.


def _opened(cipher: MultiFernet, token: str) -> str | None:
    try:
        return cipher.decrypt(token.encode()).decode()
    except InvalidToken:
        return None


def _cipher(*, first_only: bool = False) -> MultiFernet:
    if not settings.ENCRYPTION_KEYS:
        raise KeysUnusable("ENCRYPTION_KEYS holds no key: set at least one")
    cipher = _made_of(tuple(settings.ENCRYPTION_KEYS[: 1 if first_only else None]))
    if cipher is None:
        raise KeysUnusable(
            "ENCRYPTION_KEYS holds something that is no key:"
            " each is 32 random bytes in URL-safe base64, separated by commas"
        )
    return cipher


@lru_cache(maxsize=8)
def _made_of(keys: Sequence[str]) -> MultiFernet | None:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        return None


def _looks_sealed(text: str) -> bool:
    """Whether a text has the shape of a Fernet token, which no provider's key has."""
    return text.startswith("gAAAAA") and len(text) >= 100 and len(text) % 4 == 0


if TYPE_CHECKING:
    _SecretColumn = models.TextField[Secret, Secret]
else:
    _SecretColumn = models.TextField


class EncryptedTextField(_SecretColumn):
    """A Secret, kept as a Fernet token. It has no form field and can be filtered by `isnull` only.

    Saving anything but a Secret or None raises TypeError. Every save seals anew under the first key.
    `dumpdata` writes the token; `loaddata` takes it back.
    """

    description = "A secret, encrypted"

    def from_db_value(self, value: str | None, *_: object) -> Secret | None:
        return None if value is None else Secret.sealed(value)

    def to_python(self, value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        if isinstance(value, str) and _looks_sealed(value):  # from a fixture
            return Secret.sealed(value)
        raise TypeError(f"{self.name} takes a Secret: say Secret(...) if this shall be stored")

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Secret):
            raise TypeError(f"{self.name} takes a Secret: say Secret(...) if this shall be stored")
        return seal(value)

    def value_to_string(self, obj: models.Model) -> str:
        secret: Secret | None = self.value_from_object(obj)
        return "" if secret is None else secret.token()

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: it can't be looked up by {lookup_name}")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self.name} is encrypted: it has no {lookup_name}")

    def formfield(self, **_: Any) -> None:
        """None: a form that asks for a secret declares a write-only field of its own."""
