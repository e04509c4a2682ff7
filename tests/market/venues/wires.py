"""What three venues answer on their public endpoints, written by hand from their documented formats.

Each wire turns a request (path, parameters) into (what is asked, symbol's base, payload). The market
behind it is `Market`; nothing here fails on purpose: that is done by `loopback`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from math import sin
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
FUNDING_MS = {"binanceusdm": 8 * HOUR_MS, "okx": 8 * HOUR_MS, "hyperliquid": HOUR_MS}
LENGTHS = {"m": MINUTE_MS, "h": HOUR_MS, "H": HOUR_MS, "d": 24 * HOUR_MS, "D": 24 * HOUR_MS}

Bar = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]  # open, high, low, close, volume (base)
Answer = tuple[str, str | None, Any]


@cache
def _level(coin: str, minute: int) -> Decimal:
    swing = sin(minute / 190) * 0.02 + sin(minute / 17) * 0.003
    swing += (minute * 7919 % 101 - 50) / 50_000
    ticks = Market.START[coin] * (1 + Decimal(f"{swing:.6f}")) / Market.TICK[coin]
    return ticks.to_integral_value() * Market.TICK[coin]


@cache
def _minute(coin: str, minute: int) -> Bar:
    open_, close = _level(coin, minute), _level(coin, minute + 1)
    wick = Market.TICK[coin] * (3 + minute % 5)
    volume = Decimal(1 + minute % 13) / 4
    return open_, max(open_, close) + wick, min(open_, close) - wick, close, volume


@cache
def _path(coin: str, opened: int, length: int) -> Bar:
    return _merged(
        [_minute(coin, at // MINUTE_MS) for at in range(opened, opened + length, MINUTE_MS)]
    )


def _merged(parts: list[Bar]) -> Bar:
    return (
        parts[0][0],
        max(part[1] for part in parts),
        min(part[2] for part in parts),
        parts[-1][3],
        sum((part[4] for part in parts), Decimal(0)),
    )


class Market:
    """Prices of three coins at any minute: by a formula, unless somebody set them."""

    START = {"BTC": Decimal(60000), "ETH": Decimal(3000), "SOL": Decimal(150)}
    TICK = {"BTC": Decimal(1), "ETH": Decimal("0.1"), "SOL": Decimal("0.01")}

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.minutes: dict[tuple[str, int], Bar] = {}  # (coin, opened ms) → what was set
        self.prices: dict[str, Decimal] = {}  # coin → the price that was set for now
        self.marks: dict[str, Decimal] = {}
        self.told_at: dict[str, datetime] = {}  # what → the time that answers carry, if not now

    @property
    def now_ms(self) -> int:
        return (self.now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    def stamp(self, what: str) -> int:
        told = self.told_at.get(what, self.now)
        return (told - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    def minute(self, coin: str, opened: int) -> Bar:
        if (coin, opened) in self.minutes:
            return self.minutes[coin, opened]
        return _minute(coin, opened // MINUTE_MS)

    def price(self, coin: str) -> Decimal:
        """The last price now."""
        if coin in self.prices:
            return self.prices[coin]
        opened = self.now_ms - self.now_ms % MINUTE_MS
        open_, _, _, close, _ = self.minute(coin, opened)
        ticks = (open_ + (close - open_) * (self.now_ms - opened) / MINUTE_MS) / self.TICK[coin]
        return ticks.to_integral_value() * self.TICK[coin]

    def mark(self, coin: str) -> Decimal:
        return self.marks.get(coin, self.price(coin) + self.TICK[coin])

    def bar(self, coin: str, opened: int, length: int) -> Bar:
        """One candle; the one that is open now goes up to now."""
        if opened + length <= self.now_ms and not any(
            own == coin and opened <= at < opened + length for own, at in self.minutes
        ):
            return _path(coin, opened, length)
        ends = min(opened + length, self.now_ms - self.now_ms % MINUTE_MS)
        parts = [self.minute(coin, at) for at in range(opened, ends, MINUTE_MS)]
        if opened + length > self.now_ms:
            open_ = self.minute(coin, ends)[0]
            price = self.price(coin)
            parts.append((open_, max(open_, price), min(open_, price), price, Decimal("0.25")))
        return _merged(parts)

    def bars(
        self, coin: str, length: int, first: int, last: int, *, shown_until: int | None = None
    ) -> list[tuple[int, Bar]]:
        """Candles opened from first to last, no later than now (or what is still shown)."""
        first = -(-first // length) * length
        last = min(last, self.now_ms, shown_until if shown_until is not None else self.now_ms)
        return [(at, self.bar(coin, at, length)) for at in range(first, last + 1, length)]

    def book(self, coin: str) -> tuple[list[list[str]], list[list[str]]]:
        price, tick = self.price(coin), self.TICK[coin]
        sides = [
            [[str(price + side * tick * level), str(Decimal(level) / 2)] for level in range(1, 21)]
            for side in (-1, 1)
        ]
        return sides[0], sides[1]


def length_of(text: str) -> int:
    return int(text[:-1]) * LENGTHS[text[-1]]


def settled(market: Market, every: int, first: int, last: int) -> list[tuple[int, str]]:
    """Funding settled from first to last: (ms with the jitter that venues have, rate)."""
    first = -(-first // every) * every
    times = range(first, min(last, market.now_ms) + 1, every)
    return [(at + 7, f"0.0000{1 + at // every % 9}25") for at in times]


def shown_until(market: Market, is_mark: bool) -> int | None:
    what = "marks" if is_mark else "candles"
    return market.stamp(what) if what in market.told_at else None


class Binance:
    """USDⓈ-M futures: GET /fapi/v1/…"""

    def answer(self, market: Market, path: str, asked: dict[str, Any]) -> Answer:
        coin: Any = asked.get("symbol", "USDT").removesuffix("USDT") or None
        name = path.removeprefix("/fapi/v1/")
        makers: dict[str, tuple[str, Callable[..., Any]]] = {
            "time": ("time", lambda: {"serverTime": market.stamp("time")}),
            "exchangeInfo": ("markets", lambda: self._markets(market)),
            "klines": ("candles", lambda: self._candles(market, coin, asked, False)),
            "markPriceKlines": ("marks", lambda: self._candles(market, coin, asked, True)),
            "ticker/24hr": ("ticker", lambda: self._ticker(market, coin)),
            "premiumIndex": ("mark", lambda: self._premium(market, coin)),
            "openInterest": ("open interest", lambda: self._open_interest(market, coin)),
            "depth": ("book", lambda: self._book(market, coin, int(asked["limit"]))),
            "fundingRate": ("funding", lambda: self._funding(market, coin, asked)),
        }
        what, make = makers[name]
        return what, coin, make()

    def _markets(self, market: Market) -> Any:
        return {
            "timezone": "UTC",
            "serverTime": market.now_ms,
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True}],
            "symbols": [
                self._symbol(coin, contract, delivery)
                for coin in market.START
                for contract, delivery in (("PERPETUAL", 4133404800000), ("CURRENT_QUARTER", 1798675200000))
                if contract == "PERPETUAL" or coin == "BTC"
            ],
        }  # fmt: skip

    def _symbol(self, coin: str, contract: str, delivery: int) -> Any:
        decimals = {"BTC": 3, "ETH": 3, "SOL": 0}[coin]
        step = str(Decimal(1).scaleb(-decimals))
        name = f"{coin}USDT" + ("" if contract == "PERPETUAL" else "_261225")
        return {
            "symbol": name, "pair": f"{coin}USDT", "contractType": contract, "deliveryDate": delivery,
            "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000", "baseAsset": coin, "quoteAsset": "USDT",
            "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": decimals,
            "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN",
            "underlyingSubType": ["PoW"], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
            "marketTakeBound": "0.05", "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "4529764",
                 "tickSize": str(Market.TICK[coin])},
                {"filterType": "LOT_SIZE", "stepSize": step, "minQty": step, "maxQty": "1000"},
                {"filterType": "MARKET_LOT_SIZE", "stepSize": step, "minQty": step, "maxQty": "120"},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
                {"filterType": "MIN_NOTIONAL", "notional": "100" if coin == "BTC" else "5"},
                {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
                 "multiplierDecimal": "4"},
            ],
        }  # fmt: skip

    def _candles(self, market: Market, coin: str, asked: dict[str, Any], is_mark: bool) -> Any:
        length, limit = length_of(asked["interval"]), int(asked["limit"])
        first = int(asked.get("startTime", market.now_ms - limit * length))
        last = min(int(asked.get("endTime", market.now_ms)), first + (limit - 1) * length)
        rows = market.bars(coin, length, first, last, shown_until=shown_until(market, is_mark))
        return [
            [at, f"{o:.2f}", f"{h:.2f}", f"{low:.2f}", f"{c:.2f}", "0" if is_mark else f"{v:.3f}",
             at + length - 1, "0" if is_mark else f"{v * c:.5f}", 12, "0", "0", "0"]
            for at, (o, h, low, c, v) in rows
        ]  # fmt: skip

    def _ticker(self, market: Market, coin: str) -> Any:
        price = f"{market.price(coin):.2f}"
        return {
            "symbol": f"{coin}USDT", "priceChange": "-94.99", "priceChangePercent": "-0.16",
            "weightedAvgPrice": price, "lastPrice": price, "lastQty": "0.2", "openPrice": price,
            "highPrice": price, "lowPrice": price, "volume": "8913.3", "quoteVolume": "15.30",
            "openTime": market.now_ms - 24 * HOUR_MS, "closeTime": market.stamp("ticker"),
            "firstId": 1, "lastId": 2, "count": 2,
        }  # fmt: skip

    def _premium(self, market: Market, coin: str) -> Any:
        every = FUNDING_MS["binanceusdm"]
        return {
            "symbol": f"{coin}USDT", "markPrice": f"{market.mark(coin):.8f}",
            "indexPrice": f"{market.price(coin):.8f}", "estimatedSettlePrice": "0",
            "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
            "nextFundingTime": market.now_ms - market.now_ms % every + every, "time": market.stamp("mark"),
        }  # fmt: skip

    def _open_interest(self, market: Market, coin: str) -> Any:
        return {"openInterest": "10659.509", "symbol": f"{coin}USDT", "time": market.now_ms}

    def _book(self, market: Market, coin: str, limit: int) -> Any:
        bids, asks = market.book(coin)
        at = market.stamp("book")
        return {"lastUpdateId": 10, "E": at, "T": at, "bids": bids[:limit], "asks": asks[:limit]}

    def _funding(self, market: Market, coin: str, asked: dict[str, Any]) -> Any:
        rows = settled(market, FUNDING_MS["binanceusdm"], int(asked["startTime"]), market.now_ms)
        return [
            {"symbol": f"{coin}USDT", "fundingTime": at, "fundingRate": rate, "markPrice": "1.0"}
            for at, rate in rows[: int(asked["limit"])]
        ]


class Okx:
    """GET /api/v5/…; sizes in contracts of a hundredth of a coin (SOL: one coin)."""

    SIZE = {"BTC": Decimal("0.01"), "ETH": Decimal("0.1"), "SOL": Decimal(1)}

    def answer(self, market: Market, path: str, asked: dict[str, Any]) -> Answer:
        name = path.removeprefix("/api/v5/")
        coin: Any = asked.get("instId", asked.get("instFamily", "")).split("-")[0] or None
        makers: dict[str, tuple[str, Callable[..., Any]]] = {
            "public/time": ("time", lambda: [{"ts": str(market.stamp("time"))}]),
            "public/instruments": ("markets", lambda: self._markets(market, asked["instType"])),
            "market/candles": ("candles", lambda: self._candles(market, coin, asked, False)),
            "market/history-candles": ("candles", lambda: self._candles(market, coin, asked, False)),
            "market/mark-price-candles": ("marks", lambda: self._candles(market, coin, asked, True)),
            "market/history-mark-price-candles": ("marks", lambda: self._candles(market, coin, asked, True)),
            "market/ticker": ("ticker", lambda: [self._ticker(market, coin)]),
            "public/mark-price": ("mark", lambda: [self._mark(market, coin)]),
            "public/funding-rate": ("rate", lambda: [self._rate(market, coin)]),
            "public/funding-rate-history": ("funding", lambda: self._funding(market, coin, asked)),
            "public/open-interest": ("open interest", lambda: [self._open_interest(market, coin)]),
            "market/books": ("book", lambda: [self._book(market, coin, int(asked["sz"]))]),
            "public/position-tiers": ("tiers", lambda: self._tiers(coin)),
        }  # fmt: skip
        what, make = makers[name]
        return what, coin, {"code": "0", "msg": "", "data": make()}

    def _id(self, coin: str) -> dict[str, str]:
        return {"instType": "SWAP", "instId": f"{coin}-USDT-SWAP"}

    def _mark(self, market: Market, coin: str) -> Any:
        stamp = str(market.stamp("mark"))
        return {**self._id(coin), "markPx": str(market.mark(coin)), "ts": stamp}

    def _open_interest(self, market: Market, coin: str) -> Any:
        at = str(market.now_ms)
        return {**self._id(coin), "oi": "2125419", "oiCcy": "21254.19", "oiUsd": "1", "ts": at}

    def _markets(self, market: Market, kind: str) -> Any:
        if kind == "SPOT":
            steps = {"lotSz": "0.00000001", "minSz": "0.00001", "maxMktSz": "1000000"}
            no_contract = {"ctVal": "", "ctType": "", "settleCcy": "", "uly": "", "lever": "10"}
            return [self._market("BTC", "SPOT", "BTC-USDT", **steps, **no_contract)]
        inverse = self._market(
            "BTC", "SWAP", "BTC-USD-SWAP",
            ctVal="100", ctType="inverse", settleCcy="BTC", uly="BTC-USD",
        )  # fmt: skip
        linear = [
            self._market(coin, "SWAP", f"{coin}-USDT-SWAP", ctVal=str(self.SIZE[coin]))
            for coin in market.START
        ]
        return [inverse, *linear]

    def _market(self, coin: str, kind: str, name: str, **more: str) -> Any:
        return {
            "alias": "", "baseCcy": coin if kind == "SPOT" else "", "category": "1", "ctMult": "1",
            "ctType": "linear", "ctVal": "", "ctValCcy": coin, "expTime": "",
            "instFamily": more.get("uly", f"{coin}-USDT"),
            "instId": name, "instType": kind, "lever": "100", "listTime": "1606468572000", "lotSz": "0.01",
            "maxIcebergSz": "100000000", "maxLmtAmt": "20000000", "maxLmtSz": "100000000", "maxMktAmt": "",
            "maxMktSz": "12000", "maxStopSz": "12000", "minSz": "0.01", "quoteCcy": "USDT" if kind == "SPOT" else "",
            "settleCcy": "USDT", "state": "live", "stk": "", "tickSz": str(Market.TICK[coin]), "uly": f"{coin}-USDT",
            "ruleType": "normal", "instIdCode": 1, **more,
        }  # fmt: skip

    def _candles(self, market: Market, coin: str, asked: dict[str, Any], is_mark: bool) -> Any:
        length, limit = length_of(asked["bar"].removesuffix("utc")), int(asked["limit"])
        before, after = int(asked["before"]), int(asked["after"])  # both exclusive
        rows = market.bars(
            coin, length, before + 1, after - 1, shown_until=shown_until(market, is_mark)
        )
        newest_first = rows[::-1][:limit]
        if is_mark:
            return [[str(at), *map(str, bar[:4]), "1"] for at, bar in newest_first]
        size = self.SIZE[coin]
        return [
            [str(at), *map(str, bar[:4]), str(bar[4] / size), str(bar[4]), str(bar[4] * bar[3]),
             "1" if at + length <= market.now_ms else "0"]
            for at, bar in newest_first
        ]  # fmt: skip

    def _ticker(self, market: Market, coin: str) -> Any:
        bids, asks = market.book(coin)
        price = str(market.price(coin))
        return {
            **self._id(coin), "last": price, "lastSz": "1", "askPx": asks[0][0], "askSz": "1",
            "bidPx": bids[0][0], "bidSz": "1", "open24h": price, "high24h": price, "low24h": price,
            "volCcy24h": "2222", "vol24h": "2222", "sodUtc0": price, "sodUtc8": price,
            "ts": str(market.stamp("ticker")),
        }  # fmt: skip

    def _rate(self, market: Market, coin: str) -> Any:
        every = FUNDING_MS["okx"]
        due = market.now_ms - market.now_ms % every + every
        return {
            **self._id(coin), "fundingRate": "0.0001", "fundingTime": str(due), "nextFundingRate": "",
            "nextFundingTime": str(due + every), "method": "current_period", "ts": str(market.now_ms),
        }  # fmt: skip

    def _funding(self, market: Market, coin: str, asked: dict[str, Any]) -> Any:
        rows = settled(market, FUNDING_MS["okx"], int(asked["before"]) + 1, market.now_ms)
        return [
            {**self._id(coin), "fundingRate": "9", "realizedRate": rate, "fundingTime": str(at)}
            for at, rate in rows[::-1][: int(asked["limit"])]
        ]

    def _book(self, market: Market, coin: str, limit: int) -> Any:
        sides = [[[*level, "0", "1"] for level in side[:limit]] for side in market.book(coin)]
        return {"bids": sides[0], "asks": sides[1], "ts": str(market.stamp("book")), "seqId": 1}

    def _tiers(self, coin: str) -> Any:
        family = f"{coin}-USDT"
        bands = (
            ("0", "3000", "0.004", "0.01", "100"),
            ("3000", "15000", "0.005", "0.0133", "75"),
            ("15000", "38000", "0.01", "0.02", "50"),
        )
        return [
            {"baseMaxLoan": "", "imr": imr, "instFamily": family, "instId": "", "maxLever": lever,
             "maxSz": most, "minSz": least, "mmr": mmr, "optMgnFactor": "0", "quoteMaxLoan": "",
             "tier": str(tier), "uly": family}
            for tier, (least, most, mmr, imr, lever) in enumerate(bands, 1)
        ]  # fmt: skip


class Hyperliquid:
    """POST /info with a type."""

    DECIMALS = {"BTC": 5, "ETH": 4, "SOL": 2}
    LEVERAGE = {"BTC": 40, "ETH": 25, "SOL": 20}

    def answer(self, market: Market, path: str, asked: dict[str, Any]) -> Answer:
        assert path == "/info"
        coin = asked.get("coin") or asked.get("req", {}).get("coin")
        makers: dict[str, tuple[str, Callable[..., Any]]] = {
            "exchangeStatus": ("time", lambda: {"specialStatuses": None, "time": market.stamp("time")}),
            "metaAndAssetCtxs": ("markets", lambda: self._contexts(market)),
            "spotMetaAndAssetCtxs": ("spot markets", lambda: [{"universe": [], "tokens": []}, []]),
            "candleSnapshot": ("candles", lambda: self._candles(market, asked["req"])),
            "l2Book": ("book", lambda: self._book(market, coin)),
            "fundingHistory": ("funding", lambda: self._funding(market, asked)),
        }  # fmt: skip
        what, make = makers[asked["type"]]
        return what, coin, make()

    def _contexts(self, market: Market) -> Any:
        universe = [
            {"szDecimals": self.DECIMALS[coin], "name": coin, "maxLeverage": self.LEVERAGE[coin], "marginTableId": 50}
            for coin in market.START
        ]  # fmt: skip
        universe.append(
            {"szDecimals": 1, "name": "OLD", "maxLeverage": 3, "marginTableId": 3, "isDelisted": True}
        )  # fmt: skip
        contexts = [self._one(market, coin) for coin in market.START]
        contexts.append({**contexts[0], "midPx": None, "impactPxs": None, "premium": None})
        return [{"universe": universe, "marginTables": [], "collateralToken": 0}, contexts]

    def _one(self, market: Market, coin: str) -> Any:
        price, tick = market.price(coin), Market.TICK[coin]
        return {
            "funding": "0.0000125", "openInterest": "27719.1", "prevDayPx": str(price), "dayNtlVlm": "123.4",
            "premium": "0.0003", "oraclePx": str(price - tick), "markPx": str(market.mark(coin)), "midPx": str(price),
            "impactPxs": [str(price - tick), str(price + tick)], "dayBaseVlm": "12.3",
        }  # fmt: skip

    def _candles(self, market: Market, asked: dict[str, Any]) -> Any:
        length = length_of(asked["interval"])
        first, last = int(asked["startTime"]), int(asked["endTime"])
        until = shown_until(market, False)
        rows = market.bars(asked["coin"], length, first - first % length, last, shown_until=until)
        return [
            {"t": at, "T": at + length - 1, "s": asked["coin"], "i": asked["interval"],
             "o": str(o), "c": str(c), "h": str(h), "l": str(low), "v": str(v), "n": 9}
            for at, (o, h, low, c, v) in rows[-5000:]
        ]  # fmt: skip

    def _book(self, market: Market, coin: str) -> Any:
        levels = [
            [{"px": at, "sz": size, "n": 2} for at, size in side] for side in market.book(coin)
        ]
        return {"coin": coin, "time": market.stamp("book"), "levels": levels}

    def _funding(self, market: Market, asked: dict[str, Any]) -> Any:
        rows = settled(market, HOUR_MS, int(asked["startTime"]), market.now_ms)
        return [
            {"coin": asked["coin"], "fundingRate": rate, "premium": "0.0003", "time": at}
            for at, rate in rows[:500]
        ]


WIRES: dict[str, Any] = {"binanceusdm": Binance, "okx": Okx, "hyperliquid": Hyperliquid}
SYMBOLS = {
    "binanceusdm": {coin: f"{coin}/USDT:USDT" for coin in Market.START},
    "okx": {coin: f"{coin}/USDT:USDT" for coin in Market.START},
    "hyperliquid": {coin: f"{coin}/USDC:USDC" for coin in Market.START},
}
