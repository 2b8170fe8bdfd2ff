"""spp_mirror: as vf, with the one component `mirror` (spp-facts 3.7)."""

from tests.fakes.link import main
from tests.fakes.vf import Vf


class Mirror(Vf):
    kind = "mirror"


if __name__ == "__main__":
    main(Mirror)
