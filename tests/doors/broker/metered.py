"""What the books say was used, read without any of licet's own queries."""

import psycopg

Used = dict[str, tuple[int, int]]

_USED = """
    SELECT d.device_key, sum(u.up), sum(u.down)
    FROM (SELECT device_id, up, down FROM message_counts UNION ALL SELECT device_id, up, down FROM message_deltas) u
    JOIN devices d ON d.id = u.device_id
    GROUP BY d.device_key
"""


async def used(database_url: str) -> Used:
    """By device: messages up and down, on whatever day, folded or not."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        rows = await (await connection.execute(_USED)).fetchall()
    return {device_key: (int(up), int(down)) for device_key, up, down in rows}
