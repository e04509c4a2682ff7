"""What every call to the outside (venue, model, mail) does first: no transaction, no connection held.

It makes no call itself and knows nobody outside. The trap avoided: a transaction that is open while a
venue takes ten seconds to answer locks everybody else out, and one that rolls back afterwards forgets
an order that was sent.
"""

from django.db import connections


class OutwardCallInTransaction(RuntimeError):
    """Somebody calls a venue, a model or a mail server inside a database transaction: a defect."""


def before_speaking_outward() -> None:
    """Check that this thread has no transaction open, then give its database connections back.

    Every adapter calls it before each call that leaves the process; the next query opens (or takes
    from the pool) a connection again. Raises OutwardCallInTransaction.
    """
    opened = connections.all(initialized_only=True)
    for connection in opened:
        manual = connection.connection is not None and not connection.autocommit
        if connection.in_atomic_block or manual:
            raise OutwardCallInTransaction(
                f"a call leaves the process while a transaction of the {connection.alias!r} database "
                "is open: commit first, then speak"
            )
    for connection in opened:
        connection.close()
