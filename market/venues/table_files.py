"""Tables of exact numbers and instants out of CSV, Parquet and feather files.

Numbers are read as the text they were written in and scaled to integers; a float column is taken by
its shortest decimal text, like `Decimal(str(x))`. Nothing here knows what a candle is. The traps
avoided: a CSV reader that guesses types has turned 0.1 into a binary float before anyone can object,
and a loop over Decimals takes seconds for a month of minutes.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from market.domain.data import INT64_LIMIT, IntColumn
from market.errors import CandleFileError

_PLAIN_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_ZONE = r":[0-9]{2}(\.[0-9]+)?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_DIGITS = 38  # of a 128-bit decimal
# Up to here an epoch counts seconds, then milli-, then microseconds, then nanoseconds: the years
# 1973 to 5138 do not overlap.
_EPOCH_UNITS = ((10**11, 6), (10**14, 3), (10**17, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The columns of a file, or of some of its rows; `rows` numbers them as the file does, from 1.

    The header of a CSV is not a row. `source` is an Arrow table of texts (CSV) or typed columns.
    """

    path: Path
    source: Any
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def fail(self, message: str, index: int | None = None) -> NoReturn:
        """Raise CandleFileError naming the file, and the row at `index`."""
        row = "" if index is None else f"row {self.rows[index]}: "
        raise CandleFileError(f"{self.path.name}: {row}{message}")

    def find(self, *names: str) -> str | None:
        """Return the file's own name of the first of these columns it has, in any case."""
        own = [str(name) for name in self.source.column_names]
        for wanted in names:
            found = [name for name in own if name.strip().lower() == wanted]
            if len(found) > 1:
                self.fail(f"there are {len(found)} columns {wanted!r}")
            if found:
                return found[0]
        return None

    def require(self, *names: str) -> str:
        """Return the file's own name of the first of these columns, or fail naming what there is."""
        found = self.find(*names)
        if found is None:
            have = ", ".join(str(name) for name in self.source.column_names) or "none"
            self.fail(f"there is no column {' or '.join(names)}; its columns are: {have}")
        return found

    def where(self, mask: npt.NDArray[np.bool_]) -> "Table":
        """Return the rows where the mask is true."""
        return Table(path=self.path, source=self.source.filter(mask), rows=self.rows[mask])

    def texts(self, column: str) -> Any:
        """Return a column as an Arrow array of trimmed texts; fails where one is missing."""
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._array(column)
        if not pa.types.is_string(array.type):
            array = pc.cast(array, pa.string())
        array = pc.utf8_trim_whitespace(array)
        empty = pc.fill_null(pc.equal(array, ""), True)
        index = _first(empty)
        if index is not None:
            self.fail(f"{column} is missing", index)
        return array

    def exact(self, column: str, *, may_lose_digits: bool = False) -> tuple[IntColumn, int]:
        """Return a column of numbers as (integers, exponent): number = integer × 10^exponent.

        The exponent is as near to 0 as exactness allows. Numbers that don't fit 63 bits fail, or lose
        digits (towards zero) where they may; only then is the exponent above 0.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = self._plain_numbers(column)
        has_point = pc.match_substring(texts, ".")
        texts = pc.if_else(has_point, pc.utf8_rtrim(texts, characters="0"), texts)
        after_point = pc.subtract(pc.utf8_length(texts), pc.add(pc.find_substring(texts, "."), 1))
        after_point = pc.if_else(has_point, after_point, 0)
        decimals = int(pc.max(after_point).as_py() or 0)
        try:
            exact = pc.cast(texts, pa.decimal128(_DIGITS, min(decimals, _DIGITS)))
        except pa.ArrowInvalid:
            exact = None
        integers = None if exact is None else _fitting(exact)
        while exact is not None and integers is None and may_lose_digits:
            decimals -= 1
            exact = pc.cast(exact, pa.decimal128(_DIGITS, decimals), safe=False)
            integers = _fitting(exact)
        if integers is None:
            longest = int(np.argmax(pc.utf8_length(texts).to_numpy(zero_copy_only=False)))
            self.fail(
                f"the numbers of {column} have too many digits for 63 bits, as {texts[longest]}",
                longest,
            )
        return integers, -decimals

    def instants(self, column: str) -> tuple[IntColumn, bool]:
        """Return a column of times as (microseconds since the epoch, whether it states UTC itself).

        ISO 8601 with or without a zone (then as written), or an epoch in s, ms, µs or ns.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._array(column)
        if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
            index = _first(pc.is_null(array))
            if index is not None:
                self.fail(f"{column} is missing", index)
            zone = getattr(array.type, "tz", None)
            return _microseconds(pc.cast(array, pa.timestamp("us", zone), safe=False)), bool(zone)
        texts = self.texts(column)
        if pc.all(pc.match_substring_regex(texts, _NUMBER)).as_py():
            return self._epochs(column), True
        return self._iso(column, texts)

    def _array(self, column: str) -> Any:
        array = self.source.column(column).combine_chunks()
        return array.chunk(0) if hasattr(array, "chunk") else array

    def _plain_numbers(self, column: str) -> Any:
        """Return the texts of a column of numbers, none of them with an exponent."""
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = self.texts(column)
        if pc.any(pc.match_substring_regex(texts, "[eE]")).as_py():
            texts = pa.array([_without_exponent(text) for text in texts.to_pylist()], pa.string())
        index = _first(pc.invert(pc.match_substring_regex(texts, _PLAIN_NUMBER)))
        if index is not None:
            self.fail(f"{column} is {texts[index].as_py()!r}, not a number", index)
        return texts

    def _epochs(self, column: str) -> IntColumn:
        integers, exponent = self.exact(column)
        largest = max(abs(int(integers.min())), abs(int(integers.max())))
        whole = largest // 10**-exponent
        power = exponent + next((power for limit, power in _EPOCH_UNITS if whole < limit), -3)
        if largest * 10 ** max(power, 0) > INT64_LIMIT:
            self.fail(f"{column} {whole} is out of range for a time")
        microseconds: IntColumn = integers * 10**power if power >= 0 else integers // 10**-power
        return microseconds

    def _iso(self, column: str, texts: Any) -> tuple[IntColumn, bool]:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.replace_substring_regex(texts, r"\s*(UTC|GMT)$", "Z")
        texts = pc.replace_substring_regex(texts, r"\s+([zZ]|[+-][0-9:]+)$", r"\1")
        zoned = pc.match_substring_regex(texts, _ZONE)
        has_zone = bool(pc.all(zoned).as_py())
        if not has_zone and pc.any(zoned).as_py():
            self.fail(f"{column} has a time zone in some rows only", _first(pc.invert(zoned)))
        zone = "UTC" if has_zone else None

        def convert(part: Any) -> Any:
            try:
                return pc.cast(part, pa.timestamp("us", zone))
            except pa.ArrowInvalid:  # more than six digits of a second
                nanoseconds = pc.cast(part, pa.timestamp("ns", zone))
                return pc.cast(nanoseconds, pa.timestamp("us", zone), safe=False)

        try:
            converted = convert(texts)
        except pa.ArrowInvalid:
            index = _first_failing(texts, convert, pa.ArrowInvalid)
            self.fail(
                f"{column} is {texts[index].as_py()!r}, "
                "neither ISO 8601 nor an epoch in s, ms, us or ns",
                index,
            )
        return _microseconds(converted), has_zone


def read_table(path: Path | str) -> Table:
    """Read a .csv, .parquet or .feather file. Raises CandleFileError when it can't be, or is empty."""
    path = Path(path)
    if not path.exists():
        raise CandleFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise CandleFileError(f"{path}: is not a file")
    reader = {".csv": _read_csv, ".parquet": _read_parquet, ".feather": _read_feather}.get(
        path.suffix.lower()
    )
    if reader is None:
        raise CandleFileError(f"{path.name}: is not a .csv, .parquet or .feather file")
    if not path.stat().st_size:
        raise CandleFileError(f"{path.name}: the file is empty")
    import pyarrow as pa

    try:
        source = reader(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CandleFileError(f"{path.name}: can't be read: {reason}") from error
    if not source.num_rows:
        raise CandleFileError(f"{path.name}: there are no rows in the file")
    return Table(path=path, source=source, rows=np.arange(1, source.num_rows + 1, dtype=np.int64))


def _read_csv(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    return pa_csv.read_csv(
        path,
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet as pa_parquet

    return pa_parquet.read_table(path)


def _read_feather(path: Path) -> Any:
    import pyarrow.feather as pa_feather

    return pa_feather.read_table(path)


def _first(mask: Any) -> int | None:
    """Return the index of the first true value of an Arrow mask."""
    import pyarrow.compute as pc

    index = pc.index(mask, True).as_py()
    return None if index < 0 else int(index)


def _without_exponent(text: str) -> str:
    """Write `1e-05` as `0.00001`; what is no number, or absurdly large or small, stays as it is."""
    if "e" not in text and "E" not in text:
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return format(number, "f") if number.is_finite() and abs(number.adjusted()) < _DIGITS else text


def _fitting(exact: Any) -> IntColumn | None:
    """Return the unscaled integers of a 128-bit decimal array, or None when one passes 63 bits."""
    words = np.frombuffer(exact.buffers()[1], dtype="<i8").reshape(-1, 2)
    words = words[exact.offset : exact.offset + len(exact)]
    low, high = words[:, 0], words[:, 1]
    return np.ascontiguousarray(low) if bool(np.all(low >> 63 == high)) else None


def _microseconds(array: Any) -> IntColumn:
    import pyarrow as pa

    integers: IntColumn = np.array(array.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
    return integers


def _first_failing(texts: Any, convert: Callable[[Any], Any], error: type[Exception]) -> int:
    """Return the index of the first text that can't be converted, by halving."""
    good, bad = 0, len(texts)  # the first `good` convert; the first `bad` do not
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            convert(texts[good:middle])
        except error:
            bad = middle
        else:
            good = middle
    return good
