"""Servers that answer on this machine: `python -m tests.servers` prints PostgreSQL's URL, or nothing."""

import psycopg


def postgres_url() -> str | None:
    """The URL, without a database, of a PostgreSQL on loopback that lets us in without a password."""
    for user in ("postgres", "root"):
        url = f"postgres://{user}@127.0.0.1:5432"
        try:
            psycopg.connect(f"{url}/postgres", connect_timeout=3).close()
        except psycopg.OperationalError:
            continue
        return url
    return None


if __name__ == "__main__":
    print(postgres_url() or "")
