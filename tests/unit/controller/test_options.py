"""The options of the controller."""

from pathlib import Path

import pytest

from sppr.controller.options import Options, parse_options


def test_the_defaults() -> None:
    found = parse_options([])
    assert found == Options()
    assert (found.host, found.pri_port, found.sec_port, found.api_host) == ("127.0.0.1", 5555, 6666, "127.0.0.1")
    assert (found.api_port, found.api_socket, found.connect, found.timeout) == (None, None, "", 3.0)
    assert (found.web, found.metrics, found.web_token) == (True, True, None)
    assert (found.serve, found.wiring, found.file_prefix, found.vm_socket) == (False, None, "rte", None)


def test_each_option() -> None:
    text = (
        "--host 10.0.0.1 --pri-port 1 --sec-port 65535 --api-socket /a --api-port 0 --api-host 10.0.0.2 "
        "-b 10.0.0.3:7777 --timeout 0.5 --wiring w.json --allow-user ann --allow-user bob --allow 10.0.0.0/8 "
        "--guests /g --vm-user vm --file-prefix spp --serve --no-web --no-metrics --web-token /t"
    )
    assert parse_options(text.split()) == Options(
        host="10.0.0.1",
        pri_port=1,
        sec_port=65535,
        api_socket=Path("/a"),
        api_port=0,
        api_host="10.0.0.2",
        connect="10.0.0.3:7777",
        timeout=0.5,
        wiring=Path("w.json"),
        allow_users=("ann", "bob"),
        allow=("10.0.0.0/8",),
        vm_socket=Path("/g"),
        vm_user="vm",
        file_prefix="spp",
        serve=True,
        web=False,
        metrics=False,
        web_token=Path("/t"),
    )
    assert parse_options(["--connect", "/a"]).connect == "/a"


@pytest.mark.parametrize("option", ["--pri-port", "--sec-port", "--api-port"])
@pytest.mark.parametrize("value", ["65536", "-1", "x", "²", "1.0", ""])
def test_a_port_is_a_number_up_to_65535(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_options([f"{option}={value}"])
    assert f"argument {option}: {value!r} is not a port: 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "3600", "inf", "nan", "x", ""])
def test_a_time_limit_is_below_an_hour(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_options([f"--timeout={value}"])
    assert f"argument --timeout: {value!r} is not a number of seconds" in capsys.readouterr().err
    assert parse_options(["--timeout", "3599"]).timeout == 3599


def test_help_names_each_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_options(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: python -m sppr.controller [-h] [--host HOST] [--pri-port PRI_PORT]")
    for part in (
        "Controller of SPP processes.",
        "--host HOST IPv4 address to listen on (127.0.0.1)",
        "--pri-port PRI_PORT port of the primary (5555)",
        "--sec-port SEC_PORT port of secondaries (6666)",
        "--api-socket PATH serve REST v1 on this unix socket",
        "--api-port N serve REST v1 on this TCP port too",
        "--api-host API_HOST IPv4 address of --api-port (127.0.0.1)",
        "--connect IP[:PORT]|SOCKET only run a prompt for the controller at this address",
        "--timeout S time limit of a reply (3.0 s)",
        "--wiring FILE keep ports and patches here over a restart",
        "--allow-user NAME allow this user of the machine, in addition to root and the user who runs this",
        "--allow NETWORK allow this network of other machines",
        "--guests PATH serve the spp_vm of VMs on this unix socket",
        "--vm-user NAME the user whose QEMU connects to --guests",
        "--no-web do not serve the web page",
        "--no-metrics do not serve /metrics",
        "--web-token FILE token of the web page, required unless --api-host is loopback; created if it is missing",
        "--file-prefix P EAL file prefix of the lab (rte)",
        "--serve without a terminal: keep running after the end of input",
    ):
        assert part in text
