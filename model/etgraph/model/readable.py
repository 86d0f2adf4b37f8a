"""Numbers and names as people read them."""

from __future__ import annotations

_TIMES = ((1, "ns"), (10**3, "µs"), (10**6, "ms"), (10**9, "s"))
_FLOP_RATES = tuple(
    (10**power, f"{prefix}FLOP/s") for power, prefix in ((0, ""), (3, "k"), (6, "M"), (9, "G"), (12, "T"))
)
_SIZES = ((1, "B"), (10**3, "kB"), (10**6, "MB"), (10**9, "GB"), (10**12, "TB"))


def _scaled(value: int, scale: tuple[tuple[int, str], ...]) -> str:
    """Three significant digits in the largest unit in which the rounded number is at least one."""
    for factor, unit in reversed(scale):
        # 999.6 µs is shown as 1.00 ms, not as 1000 µs.
        if abs(value) >= factor * 0.9995 and abs(value) >= 1:
            number = value / factor
            if factor == 1:
                return f"{value} {unit}"
            digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
            return f"{number:,.{digits}f} {unit}"
    return f"0 {scale[0][1]}"


def duration(ns: float | None) -> str:
    """Nanoseconds in a unit that suits them.

    >>> [duration(n) for n in (0, 812, 12_345, 999_960, 4_560_000, 83_000_000_000)]
    ['0 ns', '812 ns', '12.3 µs', '1.00 ms', '4.56 ms', '83.0 s']
    """
    if ns is None:
        return "–"
    if abs(ns) >= 120 * 10**9:
        minutes, seconds = divmod(round(ns / 10**9), 60)
        return f"{minutes:,} min {seconds} s"
    return _scaled(round(ns), _TIMES)


def size(count: float | None) -> str:
    """Bytes in decimal units.

    >>> size(14_700_000)
    '14.7 MB'
    """
    return "–" if count is None else _scaled(round(count), _SIZES)


def byte_rate(per_second: float | None) -> str:
    """Bytes a second in decimal units.

    >>> byte_rate(3.35e12)
    '3.35 TB/s'
    """
    return "–" if per_second is None else f"{_scaled(round(per_second), _SIZES)}/s"


def flop_rate(per_second: float | None) -> str:
    """Floating-point operations a second in decimal units.

    >>> flop_rate(1.82e14)
    '182 TFLOP/s'
    """
    return "–" if per_second is None else _scaled(round(per_second), _FLOP_RATES)


def count(number: int) -> str:
    """A number with its thousands apart.

    >>> count(14699)
    '14,699'
    """
    return f"{number:,}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "rank"), counted(2000, "rank")
    ('1 rank', '2,000 ranks')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """A share between 0 and 1.

    >>> percent(0.0512), percent(0.00001), percent(0.0)
    ('5.1%', '<0.1%', '0.0%')
    """
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share * 100:.1f}%"


def printable(text: str, *, keep_lines: bool = False) -> str:
    r"""A name from a file without what would steer the terminal.

    >>> printable("a\x1b[31mb\n")
    'a?[31mb?'
    """
    return "".join(c if c.isprintable() or (keep_lines and c == "\n") else "?" for c in text)


def shortened(text: str, width: int) -> str:
    """A long name with its middle left out: kernels differ at both ends.

    >>> shortened("void at::native::elementwise_kernel<4>", 21)
    'void at::n…_kernel<4>'
    """
    text = printable(text)
    if len(text) <= width:
        return text
    head = width // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]
