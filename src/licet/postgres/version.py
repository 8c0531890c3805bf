"""Which PostgreSQL answers: licet relies on nothing newer than 15, and on nothing older."""

from psycopg import AsyncConnection, Error

OLDEST = 15_00_00


async def server_version(database_url: str) -> int | str:
    """The server's version as a number (180006 is 18.6), or why it cannot be reached."""
    try:
        async with await AsyncConnection.connect(database_url, connect_timeout=5) as connection:
            return connection.info.server_version
    except Error as error:
        return str(error).strip()
