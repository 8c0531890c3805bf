"""Tables: the first line names the columns, each further line is a case, two or more spaces part the cells.

Cells are text; a test says itself what they mean. ``-`` stands for a cell with nothing in it.
"""

import re

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "table(text): run the test once for each line of the table")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("table")
    if marker is None:
        return
    heading, *cases = (re.split(r"\s{2,}", line.strip()) for line in marker.args[0].strip().splitlines())
    short = [" | ".join(case) for case in cases if len(case) != len(heading)]
    assert not short, f"these lines do not have a cell for each of {heading}: {short}"
    cells = [tuple("" if cell == "-" else cell for cell in case) for case in cases]
    metafunc.parametrize(heading, cells, ids=[" | ".join(case) for case in cases])
