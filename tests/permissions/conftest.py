from pathlib import Path

import pytest

from tests.permissions.estate import World, make_world


@pytest.fixture
def world(db: None, shop: Path) -> World:
    return make_world(shop)
