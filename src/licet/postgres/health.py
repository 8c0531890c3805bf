"""Whether the books answer."""

from licet.postgres.books import Books
from licet.postgres.queries import queries

_sql = queries("health")


async def answers(books: Books) -> bool:
    """Raises ``Refused`` (books_away) while the database cannot be reached."""
    row = await books.one(_sql.answers)
    return bool(row and row[0])
