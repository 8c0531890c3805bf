"""The simulation is worth what it finds: faults are planted in licet, and each must come to light."""

import psycopg
import pytest
from tests.simulation.faults import FAULTS, Fault
from tests.simulation.play import Moment, Trouble
from tests.simulation.theatre import Theatre

_SEEDS = 40  # the most that a fault may take


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_planted_fault_is_found(
    fault: Fault, theatre: Theatre, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault.schema:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(fault.schema)
    for plant in fault.plants:
        plant(monkeypatch)
    for seed in range(fault.first, fault.first + _SEEDS):
        if await theatre.trouble(seed) is not None:
            return
    pytest.fail(f"not found within {_SEEDS} seeds: {fault.name}")


async def test_trouble_is_told_as_a_short_story(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewing a device that must not renew takes a device, a code, two knocks or a sweep, and little else."""
    (fault,) = (each for each in FAULTS if each.name == "the list of devices that must not renew is ignored")
    for plant in fault.plants:
        plant(monkeypatch)
    found: tuple[list[Moment], Trouble] | None = None
    seed = -1
    while found is None:
        seed += 1
        found = await theatre.trouble(seed)
    moments, trouble = found
    told = await theatre.told(seed, moments, trouble)
    assert told.startswith(f"seed {seed}\n")
    assert "must not renew" in told
    assert len(told.split("\n\n")[0].splitlines()) <= 14 < len(moments)
