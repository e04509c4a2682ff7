"""What allauth says and does in our name: its errors in our words, password changes in the audit trail."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction

from tradingagent.accounts.models import User
from tradingagent.accounts.services import audit


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth has no types
    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is switched off.",
        "email_password_mismatch": "This address and this password do not belong together.",  # nosec B105
        "email_taken": "There is an account with this address already. Sign in, or reset its password.",
        "enter_current_password": "This is not the password of now.",  # nosec B105
        "too_many_login_attempts": "Too many tries. Wait five minutes, then try again.",
        "rate_limited": "Too many tries. Wait a few minutes, then try again.",
    }

    def set_password(self, user: User, password: str) -> None:
        """Save a password that the user chose; a sign-up has its own entry in the audit trail."""
        with transaction.atomic():
            super().set_password(user, password)
            audit(user, "set_password", user)
