"""The port types of the data plane and those of sppr/spp/names.py are the same."""

import re

from sppr.spp import names
from tests.conftest import ROOT


def test_names_has_the_port_types_of_the_data_plane() -> None:
    """A port type that names.py does not list cannot be added through the controller."""
    text = (ROOT / "sppr/dataplane/port/port_id.h").read_text()
    table = re.findall(r'^\tTYPE\(PORT_\w+, \w+, "(\w+)", PORT_ID_\w+\)', text, re.MULTILINE)
    assert len(table) >= 10
    assert sorted(table) == sorted(names.PORT_TYPES)
