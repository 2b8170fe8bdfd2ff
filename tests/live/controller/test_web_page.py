"""The patch panel in a real browser, over a primary and two nfv of our data plane."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sppr.spp.control import ControlClient
from tests.live import labs
from tests.live.controller.browser import chromium, opened
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.running(tmp_path_factory.mktemp("web"), "weblab", None, "-ns", "2", "-nr", "0", "-nv", "0") as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def client(lab: Lab) -> Iterator[ControlClient]:
    """A client of the lab. Afterwards nfv 1 has no patches and no ports but the taps."""
    made = ControlClient(lab.state / "api.sock")
    yield made
    wait_for("nfv 1", lambda: {"type": "nfv", "client-id": 1} in made.processes())
    made.stop("nfv:1")
    made.reset_patches("nfv:1")
    for port in made.ports("nfv:1"):
        if not port.startswith("tap:"):
            made.del_port("nfv:1", port)


@pytest.fixture
def page(lab: Lab, browser: Browser) -> Iterator[Page]:
    with opened(browser, f"http://127.0.0.1:{lab.rest}/") as made:
        yield made


def jack(page: Page, process: str, port: str) -> Any:
    return page.locator(f'[data-jack="{process}/{port}"]')


def patches(client: ControlClient) -> list[tuple[str, str]]:
    return [(patch["src"], patch["dst"]) for patch in client.status("nfv:1")["patches"]]


def add(page: Page, process: str, port: str) -> None:
    card = page.locator(f'[data-process="{process}"]')
    card.locator(".add input").fill(port)
    card.get_by_role("button", name="Add port").click()
    jack(page, process, port).wait_for()


def test_page_has_a_box_for_each_process_and_a_jack_for_each_port(page: Page, client: ControlClient) -> None:
    titles = page.locator(".card h2")
    expect(titles).to_have_text(["pri", "sec1", "sec2"])
    for process in ("primary", "nfv:1", "nfv:2"):
        for port in ("tap:0", "tap:1"):
            expect(jack(page, process, port)).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("session weblab")


def test_port_of_a_link_to_another_host_has_its_name(lab: Lab, browser: Browser) -> None:
    row = {"rx": 1, "tx": 1, "rx_drop": 0, "tx_drop": 0, "rx_rate": 2.0, "tx_rate": 2.0, "drop_rate": 0, "linked": True}
    ports = dict.fromkeys(("tap:0", "link:0", "link:0nq2"), row)
    patches = [["tap:0", "link:0nq2"], ["link:0nq2", "tap:0"]]
    process = {"name": "primary", "kind": "primary", "id": 0, "state": "running", "ports": ports, "patches": patches}
    sample = {
        "session": "far",
        "processes": {"primary": process},
        "parts": {},
        "chains": {},
        "links": {"link:0": "far"},
    }
    event = f"event: sample\ndata: {json.dumps(sample)}\n\n"
    page = browser.new_page()
    page.route("**/v1/live/stream", lambda route: route.fulfill(content_type="text/event-stream", body=event))
    page.goto(f"http://127.0.0.1:{lab.rest}/")
    expect(jack(page, "primary", "link:0nq2").locator(".port")).to_have_text("link:far/2")
    expect(jack(page, "primary", "link:0").locator(".port")).to_have_text("link:far")
    page.get_by_text("2 patches").click()
    expect(page.locator(".patches li span:first-child")).to_have_text(["tap:0 → link:far/2", "link:far/2 → tap:0"])
    expect(page.locator('.cable[aria-label^="Patch tap:0 to link:far/2 of primary:"]')).to_have_count(1)
    jack(page, "primary", "link:0nq2").click()
    expect(page.locator("#selection")).to_contain_text("link:far/2 of primary is selected")
    page.locator("#filter").fill("FAR/2")
    expect(page.locator(".card")).to_be_visible()
    page.locator("#filter").fill("near")
    expect(page.locator(".card")).to_have_count(0)
    page.close()


def test_patch_by_click_moves_frames_and_can_be_undone(page: Page, client: ControlClient) -> None:
    add(page, "nfv:1", "nullpmd:0")
    add(page, "nfv:1", "nullpmd:1")
    assert {"nullpmd:0", "nullpmd:1"} <= set(client.ports("nfv:1"))
    jack(page, "nfv:1", "nullpmd:0").click()
    expect(page.locator("#selection")).to_contain_text("nullpmd:0 of nfv:1 is selected")
    jack(page, "nfv:1", "nullpmd:1").click()
    cable = page.locator('[data-patch="nfv:1/nullpmd:0/nullpmd:1"]')
    cable.wait_for(state="attached")
    assert patches(client) == [("nullpmd:0", "nullpmd:1")]
    card = page.locator('[data-process="nfv:1"]')
    card.get_by_role("button", name="Start").click()
    expect(card.locator(".badge")).to_have_text("running")
    expect(cable).to_have_class("cable none flows")
    expect(jack(page, "nfv:1", "nullpmd:1").locator(".tx")).to_contain_text("M")
    card.get_by_role("button", name="Stop").click()
    expect(card.locator(".badge")).to_have_text("idling")
    cable.locator(".hit").dispatch_event("click")
    expect(cable).to_have_count(0)
    assert patches(client) == []
    page.get_by_role("button", name="Undo").click()
    cable.wait_for(state="attached")
    assert patches(client) == [("nullpmd:0", "nullpmd:1")]
    page.keyboard.press("Control+z")
    expect(card.locator(".badge")).to_have_text("running")


def test_deleted_port_comes_back_with_its_patch(page: Page, client: ControlClient) -> None:
    add(page, "nfv:1", "ring:3")
    client.patch("nfv:1", "tap:0", "ring:3")
    page.locator('[data-patch="nfv:1/tap:0/ring:3"]').wait_for(state="attached")
    jack(page, "nfv:1", "ring:3").click()
    page.get_by_role("button", name="Delete port").click()
    expect(jack(page, "nfv:1", "ring:3")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.locator('[data-patch="nfv:1/tap:0/ring:3"]').wait_for(state="attached")
    assert patches(client) == [("tap:0", "ring:3")]


def test_new_patch_of_a_source_replaces_the_old_one_and_undo_restores_it(page: Page, client: ControlClient) -> None:
    add(page, "nfv:1", "ring:4")
    client.patch("nfv:1", "tap:0", "tap:1")
    page.locator('[data-patch="nfv:1/tap:0/tap:1"]').wait_for(state="attached")
    jack(page, "nfv:1", "tap:0").click()
    jack(page, "nfv:1", "ring:4").click()
    page.locator('[data-patch="nfv:1/tap:0/ring:4"]').wait_for(state="attached")
    assert patches(client) == [("tap:0", "ring:4")]
    page.get_by_role("button", name="Undo").click()
    page.locator('[data-patch="nfv:1/tap:0/tap:1"]').wait_for(state="attached")
    assert patches(client) == [("tap:0", "tap:1")]


def test_keyboard_alone_makes_and_removes_a_patch(page: Page, client: ControlClient) -> None:
    jack(page, "nfv:1", "tap:0").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    expect(jack(page, "nfv:1", "tap:1")).to_be_focused()
    page.keyboard.press("Enter")
    cable = page.locator('[data-patch="nfv:1/tap:0/tap:1"]')
    cable.wait_for(state="attached")
    assert patches(client) == [("tap:0", "tap:1")]
    cable.focus()
    page.keyboard.press("Enter")
    expect(cable).to_have_count(0)
    jack(page, "nfv:1", "tap:0").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_refusal_is_shown_in_the_words_of_the_process(page: Page, client: ControlClient) -> None:
    card = page.locator('[data-process="nfv:1"]')
    card.locator(".add input").fill("vhost:one")
    card.get_by_role("button", name="Add port").click()
    message = page.get_by_role("alert").first
    expect(message).to_contain_text("add vhost:one:")
    expect(message).to_contain_text("'vhost:one' is not a port")
    jack(page, "nfv:1", "tap:0").click()
    jack(page, "nfv:2", "tap:1").click()
    expect(page.get_by_role("alert").last).to_contain_text("a patch connects two ports of one process")


def test_inline_script_is_blocked(lab: Lab, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{lab.rest}/")
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.injected = 1';"
        " document.body.append(s); }"
    )
    assert page.evaluate("window.injected") is None
    page.close()


def test_page_fits_a_phone_in_dark_and_light(lab: Lab, browser: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    colours = []
    for scheme in ("dark", "light"):
        with opened(browser, f"http://127.0.0.1:{lab.rest}/", 360, 740, scheme) as page:
            page.locator(".card").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            colours.append(page.evaluate(background))
            page.get_by_role("button", name="Theme").click()
            colours.append(page.evaluate(background))
    dark, switched_to_light, light, switched_to_dark = colours
    assert dark == switched_to_dark != light == switched_to_light


def test_filter_shows_only_what_matches(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("sec2")
    expect(page.locator(".card h2")).to_have_text(["sec2"])


def test_killed_secondary_turns_red_and_recovers(lab: Lab, page: Page, client: ControlClient) -> None:
    card = page.locator('[data-process="nfv:2"]')
    expect(card).not_to_have_class("card bad")
    pid = lab.status()["sec2"]["pid"]
    os.kill(pid, signal.SIGKILL)
    expect(card).to_have_class("card bad")
    expect(card.locator(".badge")).to_have_text("failed")
    expect(card.locator(".reason")).to_contain_text("exit 137")
    assert lab.sppr("start", "sec2").returncode == 0
    expect(card).to_have_class("card idle")


def test_page_says_that_the_controller_is_gone_and_connects_again(lab: Lab, browser: Browser) -> None:
    page = browser.new_page()  # its console has an error for each lost connection
    page.goto(f"http://127.0.0.1:{lab.rest}/")
    page.locator("#link.live").wait_for()
    pid = lab.status()["ctrler"]["pid"]
    os.kill(pid, signal.SIGKILL)
    expect(page.locator("#link")).to_have_class("lost")
    assert lab.sppr("start", "ctrler").returncode == 0
    expect(page.locator("#link")).to_have_class("live", timeout=20_000)
    expect(jack(page, "nfv:2", "tap:0")).to_be_visible()
    page.close()
