"""One running server for all attacks of a module."""

import pytest

from tests.browser.conftest import Server
from tests.security.driver import SCRIPT, seed_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(data):
    server = Server(SCRIPT, {"WORKBENCH_DATA_DIR": str(data)})
    server.wait_for("URL:")
    seed_of(data)
    yield server.url
    server.close()


@pytest.fixture(scope="module")
def seed(url, data):
    """What the server made: ids of alice's collection and document, a key of hers that works and one that was revoked."""
    return seed_of(data)
