"""An admin page of rows that are looked at and never edited by hand."""

from django.contrib import admin


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the program alone writes. The full count is left out: such tables grow large."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, *_: object, **__: object) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission
