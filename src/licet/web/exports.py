"""Tables that leave as a file: CSV or XLSX, with what the API says as JSON and nothing else.

However long a table is, it is written as it is read. What a spreadsheet would take for a formula stays a text: a cell
that begins with = + - @ is led by an apostrophe, and in XLSX every text is stored as one.
"""

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import IO, Any

import xlsxwriter
from fastapi import Request
from fastapi.responses import StreamingResponse

Cell = str | int | date | datetime | None
Row = Sequence[Cell]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST_ROWS = 1_048_576  # of one sheet
_PIECE_ROWS = 1000
_PIECE_BYTES = 256 * 1024


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


_TYPES = {Format.CSV: "text/csv; charset=utf-8; header=present", Format.XLSX: _XLSX}

#: For a route's description: what it answers besides JSON.
ALSO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}, _XLSX: {"schema": {"type": "string"}}}}
}


def format_of(request: Request, said: Format | None) -> Format:
    """What the address says, or else what the request accepts."""
    if said is not None:
        return said
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return next((each for each in (Format.CSV, Format.XLSX) if _TYPES[each].split(";")[0] in accepted), Format.JSON)


def export(
    format_: Format, name: str, headings: Sequence[str], rows: AsyncIterator[Row], *, now: datetime
) -> StreamingResponse:
    """The table as a file of that name."""
    pieces = _csv(headings, rows) if format_ is Format.CSV else _xlsx(headings, rows, now)
    filename = re.sub(r"[^\w.-]", "-", f"{name}.{format_.value}", flags=re.ASCII)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(pieces, 200, headers, _TYPES[format_])


async def each_of(rows: Iterable[Row]) -> AsyncGenerator[Row, None]:
    """Rows that are there already."""
    for row in rows:
        yield row


async def _csv(headings: Sequence[str], rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    paper = io.StringIO()
    writer = csv.writer(paper)
    writer.writerow(headings)
    written = 0
    async for row in rows:
        writer.writerow([_plain(cell) for cell in row])
        written += 1
        if written % _PIECE_ROWS == 0:
            yield paper.getvalue().encode()
            paper.seek(0)
            paper.truncate()
    yield paper.getvalue().encode()


async def _xlsx(headings: Sequence[str], rows: AsyncIterator[Row], now: datetime) -> AsyncGenerator[bytes, None]:
    with tempfile.TemporaryFile() as file:
        book = xlsxwriter.Workbook(file, {"constant_memory": True, "strings_to_formulas": False})
        book.set_properties({"created": now.astimezone(UTC).replace(tzinfo=None)})
        sheet, at = None, _MOST_ROWS
        async for row in _headed(rows):
            if at == _MOST_ROWS:
                sheet, at = book.add_worksheet(), 1
                sheet.write_row(0, 0, headings)
            if row is not None and sheet is not None:
                for column, cell in enumerate(map(_plain, row)):
                    if isinstance(cell, int):
                        sheet.write_number(at, column, cell)
                    elif cell:
                        sheet.write_string(at, column, cell)
                at += 1
        await asyncio.to_thread(book.close)
        file.seek(0)
        while piece := await asyncio.to_thread(_read, file):
            yield piece


async def _headed(rows: AsyncIterator[Row]) -> AsyncGenerator[Row | None, None]:
    """A sheet has its headings also where nothing is below them."""
    yield None
    async for row in rows:
        yield row


def _read(file: IO[bytes]) -> bytes:
    return file.read(_PIECE_BYTES)


def _plain(cell: Cell) -> str | int:
    """As the API writes it as JSON."""
    match cell:
        case None:
            return ""
        case int():
            return cell
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return cell.isoformat()
        case _:
            return f"'{cell}" if cell.startswith(_FORMULA) else cell
