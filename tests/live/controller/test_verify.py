"""No answer is believed: processes that answer success and do something else, and what SPP would damage."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr.controller.server import sockets
from sppr.errors import ControlError
from tests.live.controller.test_controller import Controller, Fake, reply, until

pytestmark = pytest.mark.live


class Liar(Fake):
    """An nfv of SPP that answers success, whatever happens. ``effect`` is what its tables look like after a change."""

    effect: tuple[list[str], list[dict[str, str]]] | None = None

    def answer(self, command: str) -> bytes:
        if command.split()[0] in ("status", "_get_client_id"):
            return super().answer(command)
        if self.effect is not None:
            self.ports, self.patches = self.effect
        return reply(result="succeeded", command=command.split()[0])


class Primary(Liar):
    """spp_primary of HEAD without a worker lcore: no forwarder in its status. Up to 19.08 it lists no pipes."""

    lists_pipes = True

    def answer(self, command: str) -> bytes:
        if command == "status":
            pipes: dict[str, object] = {"pipes": []} if self.lists_pipes else {}
            return reply(**{"master-lcore": 0, "lcores": [0], "phy_ports": [], "ring_ports": [], **pipes})
        return super().answer(command)


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[tuple[Controller, Liar]]:
    controller = Controller(tmp_path, "--serve", "--timeout", "1")
    fake = Liar(controller.sec_port, 1)
    fake.ports, fake.patches = ["phy:0", "ring:0"], [{"src": "phy:0", "dst": "ring:0"}]
    fake.start()
    until(lambda: {"type": "nfv", "client-id": 1} in controller.client.processes(), "nfv 1")
    yield controller, fake
    controller.end()


def refusal(call: object, *args: str) -> str:
    with pytest.raises(ControlError) as e:
        call(*args)  # type: ignore[operator]
    return e.value.what


def test_a_port_that_did_not_come_is_an_error(liar: tuple[Controller, Liar]) -> None:
    controller, _ = liar
    printed = refusal(controller.client.add_port, "nfv:1", "vhost:1")
    assert "command error: `add vhost:1` did not have the requested effect: vhost:1 is missing" in printed


def test_a_patch_that_changed_on_the_side_is_named(liar: tuple[Controller, Liar]) -> None:
    controller, fake = liar
    fake.effect = (["udf", "ring:0", "nullpmd:3"], [{"src": "udf", "dst": "ring:0"}])
    printed = refusal(controller.client.add_port, "nfv:1", "nullpmd:3")
    assert "phy:0 is missing; udf is present; phy:0 -> ring:0 is missing; udf -> ring:0 is present" in printed


def test_forwarding_that_did_not_start_is_an_error(liar: tuple[Controller, Liar]) -> None:
    controller, _ = liar
    assert "`forward` did not have the requested effect: the process is idling" in refusal(
        controller.client.forward, "nfv:1"
    )


def test_a_reset_that_left_a_patch_is_an_error(liar: tuple[Controller, Liar]) -> None:
    controller, _ = liar
    assert "phy:0 -> ring:0 is present" in refusal(controller.client.reset_patches, "nfv:1")


def test_what_spp_would_damage_is_not_sent(liar: tuple[Controller, Liar]) -> None:
    controller, fake = liar
    assert "answers success but corrupts" in refusal(controller.client.add_port, "nfv:1", "tap:3")
    assert "is patched (phy:0 -> ring:0)" in refusal(controller.client.del_port, "nfv:1", "ring:0")
    assert "answers success but corrupts" in refusal(controller.client.del_port, "nfv:1", "tap:3")
    assert set(fake.heard) == {"_get_client_id", "status"}


def test_memif_is_sent_to_a_release_that_has_it_only(liar: tuple[Controller, Liar]) -> None:
    """An nfv does not tell its release; the primary's status lists pipes from 19.11 on."""
    controller, fake = liar
    primary = Primary(controller.pri_port)
    primary.start()
    until(lambda: {"type": "primary"} in controller.client.processes(), "the primary")
    fake.effect = ([*fake.ports, "memif:0"], fake.patches)
    controller.client.add_port("nfv:1", "memif:0")
    fake.effect = None
    primary.lists_pipes = False
    controller.client.primary_status()
    for call in (controller.client.add_port, controller.client.del_port):
        assert "answers success but corrupts" in refusal(call, "nfv:1", "memif:1")
    assert not [command for command in fake.heard if command.endswith("memif:1")]


def test_a_primary_without_a_forwarder_does_not_forward(tmp_path: Path) -> None:
    controller = Controller(tmp_path, "--serve", "--timeout", "1")
    try:
        Primary(controller.pri_port).start()
        until(lambda: {"type": "primary"} in controller.client.processes(), "the primary")
        assert "the process has no forwarder" in refusal(controller.client.forward, "primary")
    finally:
        controller.end()


def test_changes_of_one_process_are_compared_one_by_one(tmp_path: Path) -> None:
    """Two clients at once: neither sees the other's change as a fault."""
    controller = Controller(tmp_path, "--serve", "--timeout", "5")
    try:
        fake = Fake(controller.sec_port, 1, delay=0.01)
        fake.start()
        until(lambda: {"type": "nfv", "client-id": 1} in controller.client.processes(), "nfv 1")
        failed: list[str] = []

        def add(number: int) -> None:
            try:
                controller.client.add_port("nfv:1", f"ring:{number}")
            except ControlError as error:
                failed.append(error.what)

        threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == [] and len(fake.ports) == 9
    finally:
        controller.end()


def test_a_socket_that_a_killed_process_left_is_removed_before_add(tmp_path: Path) -> None:
    """SPP's own nfv fails over it. A socket that somebody has, a file and a link stay."""
    (tmp_path / "sock1").touch()
    (tmp_path / "sock2").symlink_to(tmp_path / "sock4")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock3"))
    with socket.socket(socket.AF_UNIX) as used:
        used.bind(str(tmp_path / "sock4"))
        used.listen()
        removed = [sockets.remove_stale_vhost(f"add vhost:{n}", tmp_path) for n in range(1, 5)]
        assert removed == [None, None, tmp_path / "sock3", None]
    assert sockets.remove_stale_vhost("add vhost 4", tmp_path) == tmp_path / "sock4"  # nobody has it now
    assert sockets.remove_stale_vhost("add ring:3", tmp_path) is None


def test_it_is_removed_for_spp_in_every_path(liar: tuple[Controller, Liar]) -> None:
    controller, fake = liar
    path = Path("/tmp/sock997")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    try:
        with pytest.raises(ControlError):
            controller.client.add_port("nfv:1", "vhost:997")  # it lies: the port does not come
        assert "add vhost:997" in fake.heard and not path.exists()
    finally:
        path.unlink(missing_ok=True)
