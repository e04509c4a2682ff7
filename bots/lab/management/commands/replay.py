"""`manage.py replay`: run traders over recorded or simulated history, through the same cycle as live."""

import json
import shutil
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from datetime import timedelta
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from bots.lab.curve import draw_equity
from bots.lab.report import check_writable, events, summarise, table, write_report
from bots.lab.runner import ReplayResult, run_replay
from bots.lab.setup import ReplayRequest, build_setup
from bots.management.exit_arguments import add_exit_arguments, exits_from
from llm.traders.registry import trader_names
from market.domain.numbers import to_decimal
from market.venues.sim_venue.settings import VolumeUnit
from market.venues.timeframes import parse_timeframe

_LARGEST_EXPONENT = 30


class Command(BaseCommand):
    """A door: it reads arguments, calls the lab, and prints."""

    help = "Replay candles (or the simulated market) through the trading cycle and report."

    def add_arguments(self, parser: ArgumentParser) -> None:
        market = parser.add_argument_group("market")
        market.add_argument(
            "--candles",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="candles as CSV, Parquet or feather; again for each instrument",
        )
        market.add_argument(
            "--symbol",
            action="append",
            default=[],
            metavar="SYMBOL",
            help="what a file holds, as BTC/USDT:USDT (perpetual) or BTC/USDT (spot)",
        )
        market.add_argument(
            "--simulated",
            action="store_true",
            help="replay the seeded simulated market instead of files",
        )
        market.add_argument("--days", type=int, help="days of simulated market (default 14)")
        market.add_argument(
            "--timeframe", default="1m", help="the trader's bars: 1m, 3m, 15m, 4h … (default 1m)"
        )
        market.add_argument("--interval", help="time between decisions (default: the timeframe)")
        market.add_argument(
            "--timestamp",
            choices=("open", "close"),
            help="what a file's times mean (default open)",
        )
        market.add_argument("--allow-gaps", action="store_true", help="accept missing candles")
        market.add_argument(
            "--mark",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="mark price candles (default: the trade candles stand in, and the report says so)",
        )
        market.add_argument(
            "--funding",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="settled funding rates (default: none)",
        )
        market.add_argument(
            "--funding-tz",
            metavar="±HH:MM",
            help="the zone of the funding file's times (default +00:00)",
        )
        market.add_argument(
            "--instrument",
            type=Path,
            metavar="FILE",
            help="instruments as JSON (default: the built-in ones)",
        )
        trader = parser.add_argument_group("trader")
        trader.add_argument(
            "--trader",
            action="append",
            default=[],
            metavar="NAME",
            help=f"{', '.join(trader_names())}, or scripted; again to compare several",
        )
        trader.add_argument(
            "--param",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter of the trader",
        )
        trader.add_argument(
            "--completions",
            type=Path,
            metavar="FILE",
            help="the scripted trader's answers: a JSON list, or one JSON value a line",
        )
        trader.add_argument(
            "--seed", type=int, default=1, help="of the simulated market and random trader"
        )
        desk = parser.add_argument_group("desk and venue")
        desk.add_argument(
            "--risk",
            default=None,
            metavar="PROFILE",
            help="conservative, balanced, aggressive, or raw: no limits (default balanced)",
        )
        desk.add_argument(
            "--size", type=_number, help="with --risk raw: entries as a multiple of equity"
        )
        desk.add_argument(
            "--cash", type=_number, default=Decimal(10_000), help="opening money (default 10000)"
        )
        desk.add_argument(
            "--fee", type=_number, help="taker fee, a fraction (default: the instrument's)"
        )
        desk.add_argument(
            "--maker-fee", type=_number, help="maker fee (default: --fee, else the instrument's)"
        )
        desk.add_argument(
            "--slippage-bps",
            type=_number,
            default=Decimal(1),
            help="market orders fill this much worse (default 1)",
        )
        desk.add_argument(
            "--spread-bps", type=_number, default=Decimal(0), help="bid to ask (default 0)"
        )
        desk.add_argument(
            "--latency-ms", type=int, default=0, help="from decision to venue (default 0)"
        )
        desk.add_argument(
            "--max-volume-fraction",
            type=_number,
            metavar="F",
            help="fill at most this part of a bar's volume in that bar (default: any amount)",
        )
        desk.add_argument(
            "--volume-unit",
            choices=("base", "quote"),
            help="what a file's volume column counts (default base)",
        )
        desk.add_argument(
            "--no-jump", action="store_true", help="evaluate every bar, quiet ones too"
        )
        add_exit_arguments(parser)
        out = parser.add_argument_group("report")
        out.add_argument(
            "--json", action="store_true", help="print one JSON object (a list for several traders)"
        )
        out.add_argument(
            "--out",
            type=Path,
            metavar="FILE",
            help="write decisions, orders, fills, ledger and equity as JSON",
        )
        out.add_argument("--no-curve", action="store_true", help="print no equity curve")

    def handle(self, **options: Any) -> None:
        traders = options["trader"] or (
            list(trader_names()) if options["simulated"] else ["ema_trend"]
        )
        if options["out"] and len(traders) > 1:
            raise CommandError("--out takes the report of one --trader")
        if options["out"]:
            _check_out(options["out"])
        if options["days"] is not None and not options["simulated"]:
            raise CommandError("--days belongs to --simulated: files hold their own days")
        results = []
        for name in traders:
            try:
                results.append(self._replay(name, options))
            except KeyboardInterrupt:
                raise CommandError("stopped; nothing was written", returncode=130) from None
            except (ValueError, OverflowError) as refusal:
                raise CommandError(str(refusal)) from None
            except DecimalException:
                raise CommandError(
                    f"{name}: a number is too large or too small to reckon with"
                ) from None
        summaries = [summarise(result) for result in results]
        if options["out"]:
            try:
                write_report(options["out"], summaries[0], results[0])
            except OSError as error:
                raise _unwritable(options["out"], error) from None
        if options["json"]:
            self.stdout.write(json.dumps(summaries[0] if len(summaries) == 1 else summaries))
            return
        self._print(results, summaries, options)

    def _replay(self, name: str, options: dict[str, Any]) -> ReplayResult:
        setup = build_setup(_request(name, options))
        total = len(setup.histories[0].bars)
        # on a terminal only, and on stderr: stdout is the report
        with tqdm(
            total=total, desc=name, unit=" bars", disable=None, leave=False, mininterval=0.2
        ) as bar:
            return run_replay(setup, progress=lambda done: bar.update(done - bar.n))

    def _print(
        self, results: list[ReplayResult], summaries: list[dict[str, Any]], options: dict[str, Any]
    ) -> None:
        first = summaries[0]
        market = "SIMULATED market" if first["market"] == "simulated" else "recorded candles"
        self.stdout.write(
            f"{market}: {', '.join(results[0].setup.bot.symbols)}, {first['from']} to {first['to']}, "
            f"decisions each {first['interval']}, risk profile {first['risk']}, money in {first['currency']}"
        )
        if first["missing_bars"]:
            self.stdout.write(
                f"missing bars: {first['missing_bars']:,} of each instrument; ratios are per recorded bar"
            )
        width = shutil.get_terminal_size().columns
        if not options["no_curve"]:
            for result, summary in zip(results, summaries, strict=True):
                at, scaled = result.ledger.equity_curve()
                self.stdout.write(
                    draw_equity(
                        scaled / 1e8,
                        at,
                        width=min(width, 80),
                        height=12 if len(results) == 1 else 8,
                        title=f"{summary['trader']}: equity in {summary['currency']}",
                        colour=sys.stdout.isatty() and not options["no_color"],
                    )
                )
        self.stdout.write(table(summaries))
        for summary in summaries:
            for line in events(summary):
                self.stdout.write(line)
        denied: Counter[str] = Counter()
        for summary in summaries:
            denied.update(summary["denials"])
        if denied:
            self.stdout.write(
                "denied: " + ", ".join(f"{code} ×{count}" for code, count in denied.most_common())
            )
        speed = sum(s["candles"] for s in summaries) / sum(s["seconds"] for s in summaries)
        self.stdout.write(
            f"funding: {first['funding_source']} · mark price: {first['mark_source']} · Sharpe of "
            f"{first['ratio_period_seconds']:g} s returns × √{first['ratio_periods_per_year']:g} · "
            f"ledger off by {max(s['identity_error'] for s in summaries)} · {speed:,.0f} candles/s"
        )


def _check_out(path: Path) -> None:
    """Refuse, before anything runs, what the report can't be written to."""
    folder = path.absolute().parent
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise CommandError(f"--out takes a file, and {path} is {kind}")
        if not folder.is_dir():
            raise CommandError(f"there is no folder {folder} to write to")
        check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> CommandError:
    return CommandError(f"--out {path} can't be written: {error.strerror or error}")


def _request(name: str, options: dict[str, Any]) -> ReplayRequest:
    timeframe = parse_timeframe(options["timeframe"])
    unit = options["volume_unit"]
    return ReplayRequest(
        candles=options["candles"],
        symbols=options["symbol"],
        mark=options["mark"],
        funding=options["funding"],
        funding_tz=options["funding_tz"],
        instrument=options["instrument"],
        timeframe=timeframe,
        interval=parse_timeframe(options["interval"]) if options["interval"] else None,
        timestamp=options["timestamp"],
        allow_gaps=options["allow_gaps"],
        trader=name,
        params=_params(options["param"]),
        completions=options["completions"],
        risk=options["risk"] or "balanced",
        size=options["size"],
        cash=options["cash"],
        fee=options["fee"],
        maker_fee=options["maker_fee"],
        slippage_bps=options["slippage_bps"],
        spread_bps=options["spread_bps"],
        latency=_latency(options["latency_ms"]),
        max_volume_fraction=options["max_volume_fraction"],
        volume_unit=VolumeUnit(unit.upper()) if unit else None,
        seed=options["seed"],
        simulated_days=(14 if options["days"] is None else options["days"])
        if options["simulated"]
        else None,
        jump=not options["no_jump"],
        exits=exits_from(options),
    )


def _params(pairs: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CommandError(f"--param takes NAME=VALUE, not {pair!r}")
        params[name] = value
    return params


def _latency(milliseconds: int) -> timedelta:
    try:
        return timedelta(milliseconds=milliseconds)
    except OverflowError:
        return timedelta.max if milliseconds > 0 else timedelta.min


def _number(text: str) -> Decimal:
    """An argument as a Decimal of a size that money, fractions and basis points can have."""
    try:
        number = to_decimal(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if number and abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ArgumentTypeError(f"{text!r} is too large or too small a number")
    return number
