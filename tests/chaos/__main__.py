"""Kill and freeze trading processes at seeded points and see them healed, on a database of its own.

python -m tests.chaos --runs 500 --seed 1 [--database URL] [--real]

Without a database it makes a SQLite file and removes it. Exits with 1 when anything was found wrong.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

SHORT, REAL = "1", "30"
LINE = 600


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = arguments.database or f"sqlite:///{folder}/chaos.sqlite3"
        for name in ("DESK_LEASE_SECONDS", "CYCLE_LEASE_SECONDS"):
            os.environ[name] = REAL if arguments.real else SHORT
        os.environ["DJANGO_SETTINGS_MODULE"] = "tradingagent.settings"
        return _in_database(arguments, Path(folder))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="processes to kill or freeze")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--database", help="a DATABASE_URL; test_NAME is made beside it and dropped"
    )
    parser.add_argument(
        "--real", action="store_true", help="each place of a cycle once, leases of 30 s"
    )
    return parser.parse_args()


def _in_database(arguments: argparse.Namespace, folder: Path) -> int:
    import django
    from django.db import connection

    django.setup()

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(folder / "test.sqlite3")
    before = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        return _report(arguments)
    finally:
        from tests.chaos.processes import let_connections_go

        let_connections_go()
        connection.creation.destroy_test_db(before, verbosity=0)


def _report(arguments: argparse.Namespace) -> int:
    from tests.chaos.runs import Matrix

    began, found, count = time.monotonic(), 0, 0
    matrix = Matrix(arguments.seed)
    results = (
        (one for act in matrix.places for one in matrix.run_each(act))
        if arguments.real
        else matrix.run(arguments.runs)
    )
    for result in results:
        count += 1
        for fault in result.faults:
            found += 1
            print(
                f"{result.act}, {result.kind} {result.point[0]} #{result.point[1]}: {fault[:LINE]}"
            )
    took = time.monotonic() - began
    places = sum(map(len, matrix.places.values()))
    print(
        f"seed {arguments.seed}: {count} processes killed or frozen at {len(matrix.reached)} kinds of"
        f" place ({places} places in all), {matrix.whole} came through, {found} faults, {took:.0f} s"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
