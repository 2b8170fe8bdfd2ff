"""The controller verifies changes: processes that reply success without doing them, and commands that damage SPP."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr.controller.server import sockets
from sppr.errors import ControlError
from tests.live.controller.test_controller import Controller, Fake, reply, until

pytestmark = pytest.mark.live


class UntruthfulNfv(Fake):
    """An nfv of SPP that always replies success. ``effect`` sets its tables after a change."""

    effect: tuple[list[str], list[dict[str, str]]] | None = None

    def answer(self, command: str) -> bytes:
        if command.split()[0] in ("status", "_get_client_id"):
            return super().answer(command)
        if self.effect is not None:
            self.ports, self.patches = self.effect
        return reply(result="succeeded", command=command.split()[0])


class Primary(UntruthfulNfv):
    """spp_primary of HEAD without a worker lcore: no forwarder in its status. Up to 19.08 it lists no pipes."""

    lists_pipes = True

    def answer(self, command: str) -> bytes:
        if command == "status":
            pipes: dict[str, object] = {"pipes": []} if self.lists_pipes else {}
            return reply(**{"master-lcore": 0, "lcores": [0], "phy_ports": [], "ring_ports": [], **pipes})
        return super().answer(command)


@pytest.fixture
def untruthful(tmp_path: Path) -> Iterator[tuple[Controller, UntruthfulNfv]]:
    controller = Controller(tmp_path, "--serve", "--timeout", "1")
    fake = UntruthfulNfv(controller.sec_port, 1)
    fake.ports, fake.patches = ["phy:0", "ring:0"], [{"src": "phy:0", "dst": "ring:0"}]
    fake.start()
    until(lambda: {"type": "nfv", "client-id": 1} in controller.client.processes(), "nfv 1")
    yield controller, fake
    controller.end()


def refusal(call: object, *args: str) -> str:
    with pytest.raises(ControlError) as e:
        call(*args)  # type: ignore[operator]
    return e.value.what


def test_port_that_was_not_added_is_an_error(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, _ = untruthful
    printed = refusal(controller.client.add_port, "nfv:1", "vhost:1")
    assert "command error: `add vhost:1` did not have the requested effect: vhost:1 is missing" in printed


def test_patch_changed_as_a_side_effect_is_named(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, fake = untruthful
    fake.effect = (["udf", "ring:0", "nullpmd:3"], [{"src": "udf", "dst": "ring:0"}])
    printed = refusal(controller.client.add_port, "nfv:1", "nullpmd:3")
    assert "phy:0 is missing; udf is present; phy:0 -> ring:0 is missing; udf -> ring:0 is present" in printed


def test_forwarding_that_did_not_start_is_an_error(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, _ = untruthful
    assert "`forward` did not have the requested effect: the process is idling" in refusal(
        controller.client.forward, "nfv:1"
    )


def test_reset_that_leaves_a_patch_is_an_error(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, _ = untruthful
    assert "phy:0 -> ring:0 is present" in refusal(controller.client.reset_patches, "nfv:1")


def test_command_that_damages_spp_is_not_sent(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, fake = untruthful
    assert "answers success but corrupts" in refusal(controller.client.add_port, "nfv:1", "tap:3")
    assert "is patched (phy:0 -> ring:0)" in refusal(controller.client.del_port, "nfv:1", "ring:0")
    assert "answers success but corrupts" in refusal(controller.client.del_port, "nfv:1", "tap:3")
    assert set(fake.heard) == {"_get_client_id", "status"}


def test_memif_is_sent_only_to_releases_that_support_it(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    """An nfv does not report its release. The status of the primary lists pipes since 19.11."""
    controller, fake = untruthful
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


def test_primary_without_a_forwarder_cannot_forward(tmp_path: Path) -> None:
    controller = Controller(tmp_path, "--serve", "--timeout", "1")
    try:
        Primary(controller.pri_port).start()
        until(lambda: {"type": "primary"} in controller.client.processes(), "the primary")
        assert "the process has no forwarder" in refusal(controller.client.forward, "primary")
    finally:
        controller.end()


def test_concurrent_changes_of_a_process_are_verified_in_turn(tmp_path: Path) -> None:
    """Two clients at once: the change of one is not a fault for the other."""
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


def test_stale_socket_is_removed_before_add(tmp_path: Path) -> None:
    """SPP's own nfv fails if it exists. A socket in use, a file and a link are kept."""
    (tmp_path / "sock1").touch()
    (tmp_path / "sock2").symlink_to(tmp_path / "sock4")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock3"))
    with socket.socket(socket.AF_UNIX) as used:
        used.bind(str(tmp_path / "sock4"))
        used.listen()
        removed = [sockets.remove_stale_vhost(f"add vhost:{n}", tmp_path) for n in range(1, 5)]
        assert removed == [None, None, tmp_path / "sock3", None]
    assert sockets.remove_stale_vhost("add vhost 4", tmp_path) == tmp_path / "sock4"  # not in use any more
    assert sockets.remove_stale_vhost("add ring:3", tmp_path) is None


def test_stale_socket_is_removed_from_every_path_of_spp(untruthful: tuple[Controller, UntruthfulNfv]) -> None:
    controller, fake = untruthful
    path = Path("/tmp/sock997")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    try:
        with pytest.raises(ControlError):
            controller.client.add_port("nfv:1", "vhost:997")  # replies success without adding the port
        assert "add vhost:997" in fake.heard and not path.exists()
    finally:
        path.unlink(missing_ok=True)
