"""Keys are rotated while licet runs: every secret stays what it was, under another key."""

from pathlib import Path

from tests.verbs.conftest import NOON, Trade

from licet.admit import admit
from licet.enrol import import_devices
from licet.keyring import Keyring
from licet.postgres import sealed
from licet.postgres.books import Books
from licet.products import Imported
from licet.reseal import reseal
from licet.run import key_file

OLD, NEW = bytes(32), bytes(range(32))


async def test_everything_sealed_is_sealed_again(trade: Trade, database_url: str) -> None:
    await trade.credited(5, await trade.package())
    await trade.imported("thermo1", "thermo2")
    async with Books.open(database_url, Keyring({1: OLD, 2: NEW}, 2)) as books:
        assert await reseal(books) == 3
        assert await reseal(books) == 0
    async with Books.open(database_url, Keyring({2: NEW}, 2)) as books:
        assert await sealed.stale_devices(books, 2, after=0, limit=10) == []
        answers = await admit(books, [trade.knock("thermo1"), trade.knock("thermo2")], now=NOON)
        assert all(answer.admitted for answer in answers)


async def test_a_process_that_runs_follows_its_key_file(trade: Trade, database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_file.make(path)
    async with Books.open(database_url, key_file.load(path)) as running, Books.open(database_url, key_file.load(path)):
        (made,) = await import_devices(running, trade.product_key, [Imported("thermo1")], by=trade.alice, now=NOON)
        key_file.add_key(path)
        (later,) = await import_devices(running, trade.product_key, [Imported("thermo2")], by=trade.alice, now=NOON)
        assert running.keyring.current == 2, "what is sealed after the new key came is sealed with it"
        stale = await sealed.stale_devices(running, 2, after=0, limit=10)
        assert [about for _, about, _ in stale] == [f"{trade.product_key}/thermo1"]
        assert made[1] != later[1]
