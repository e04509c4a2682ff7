"""Nobody speaks outward inside a transaction, or while holding a database connection."""

from threading import Thread

import pytest
from django.db import connection, transaction

from tradingagent.accounts.models import User
from tradingagent.accounts.outward import OutwardCallInTransaction, before_speaking_outward


@pytest.mark.django_db(transaction=True)
def test_the_connection_is_given_back_and_taken_again():
    assert User.objects.count() == 0
    assert connection.connection is not None

    before_speaking_outward()

    assert connection.connection is None
    assert User.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_call_inside_a_transaction_is_refused_and_leaves_the_transaction_whole():
    with transaction.atomic():
        User.objects.create_user("ann@example.org")
        with pytest.raises(OutwardCallInTransaction, match="'default' database"):
            before_speaking_outward()

    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_transaction_by_hand_counts_too():
    transaction.set_autocommit(False)
    try:
        with pytest.raises(OutwardCallInTransaction):
            before_speaking_outward()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


@pytest.mark.django_db
def test_a_test_in_a_transaction_is_refused_too():
    with pytest.raises(OutwardCallInTransaction):
        before_speaking_outward()


def test_without_a_database_nothing_is_opened():
    before_speaking_outward()

    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
def test_the_transaction_of_another_thread_is_its_own_affair():
    errors: list[BaseException] = []

    def speak():
        try:
            before_speaking_outward()
        except OutwardCallInTransaction as error:
            errors.append(error)

    with transaction.atomic():
        thread = Thread(target=speak)
        thread.start()
        thread.join()

    assert errors == []
