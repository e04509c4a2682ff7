"""What bots that run beside each other are shown of the market: one row for each of their instants."""

from django.db import models


class CohortLook(models.Model):
    """The market as all traders of a cohort are shown it in one slot: whoever looks first stores it.

    `data` is a packed snapshot (`market.domain.packed_snapshot`) of the instant `at`. Needed for seconds,
    kept for minutes: records of cycles hold what was shown themselves.
    """

    cohort = models.UUIDField()
    slot = models.CharField(max_length=80)
    at = models.DateTimeField(db_index=True)
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cohort", "slot"], name="cohort_look_once_per_slot")
        ]

    def __str__(self) -> str:
        return f"{self.slot} of cohort {self.cohort}"
