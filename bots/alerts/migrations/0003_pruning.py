"""What pruning looks for: alerts that are over, and messages, the oldest first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_managed_exit_kind")]

    operations = [
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("is_open", False)), fields=["last_at"], name="alert_over"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["created_at"], name="delivery_oldest"),
        ),
    ]
