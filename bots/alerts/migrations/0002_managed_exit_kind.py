"""A kind of alert more, of the exits that a bot manages: its rules look one way, as those of all but two kinds."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_alerts")]

    operations = [
        migrations.RemoveConstraint(
            model_name="alertrule",
            name="rule_looks_the_way_of_its_kind",
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        (
                            "kind__in",
                            (
                                "FILL",
                                "STOP_HIT",
                                "TARGET_HIT",
                                "MANAGED_EXIT",
                                "LIQUIDATION",
                                "DENIAL",
                                "BREAKER",
                                "NAKED_POSITION",
                                "UNKNOWN_ORDER",
                                "FOREIGN_POSITION",
                                "MODEL_FAILURE",
                                "BUDGET",
                                "DRAWDOWN",
                                "FUNDING",
                                "BOT_SILENT",
                                "DAILY_SUMMARY",
                            ),
                        ),
                        _negated=True,
                    ),
                    ("direction", "ABOVE"),
                    _connector="OR",
                ),
                name="rule_looks_the_way_of_its_kind",
            ),
        ),
    ]
