"""The simulation's own stage: a theatre, and which seeds to play.

``SIMULATION_SEED=17`` plays that one alone; ``SIMULATION_SEEDS=500`` plays so many random ones.
"""

import os
import random
from collections.abc import AsyncIterator

import pytest
from tests.simulation.theatre import Theatre


@pytest.fixture
async def theatre(database_url: str) -> AsyncIterator[Theatre]:
    async with Theatre.open(database_url) as theatre:
        yield theatre


@pytest.fixture
def random_seeds() -> list[int]:
    if seed := os.environ.get("SIMULATION_SEED"):
        return [int(seed)]
    return [random.randrange(10**9) for _ in range(int(os.environ.get("SIMULATION_SEEDS", "6")))]
