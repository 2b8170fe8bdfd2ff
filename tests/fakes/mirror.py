"""A fake spp_mirror: as vf, with the component type `mirror` only (docs/spp-protocol.md, Components)."""

from tests.fakes.link import main
from tests.fakes.vf import Vf


class Mirror(Vf):
    kind = "mirror"


if __name__ == "__main__":
    main(Mirror)
