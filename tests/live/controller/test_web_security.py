"""What hostile pages, other users and other machines can do to the web page and its data: nothing."""

import http.client
import http.server
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.live import fakes
from tests.live.controller.browser import chromium
from tests.live.controller.test_access import as_user, from_namespace, namespace
from tests.live.controller.test_controller import ARGV
from tests.live.fakes import Lab, lab

pytestmark = pytest.mark.live

EVIL = """<!doctype html><title>evil</title><body><script>
const at = "http://127.0.0.1:PORT";
const tries = [
  () => fetch(at + "/v1/nfvs/1/forward", {method: "PUT", body: '{"action": "start"}'}),
  () => fetch(at + "/v1/primary/flow_rules/port_id/0", {method: "POST", mode: "no-cors", body: "{}"}),
  () => fetch(at + "/v1/nfvs/1", {method: "DELETE"}),
  () => fetch(at + "/v1/live"),
  () => new Promise((resolve, reject) => {
    const source = new EventSource(at + "/v1/live/stream");
    source.onmessage = source.onopen = () => resolve("");
    source.onerror = () => reject(new Error("refused"));
  }),
  () => new Promise((resolve, reject) => {
    const frame = document.createElement("iframe");
    frame.src = at + "/";
    frame.onload = () => {
      try { resolve(frame.contentDocument.title); } catch (error) { reject(error); }
    };
    document.body.append(frame);
  }),
];
window.results = [];
(async () => {
  for (const one of tries) window.results.push(await one().then((r) => "done " + r, () => "refused"));
  const form = document.createElement("form");
  form.method = "post";
  form.action = at + "/login";
  form.target = "other";
  document.body.append(form);
  form.submit();
  document.title = "finished";
})();
</script>"""


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fakes.panel(tmp_path_factory.mktemp("websec")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP evil.test 127.0.0.1") as made:
        yield made


def get(panel: Lab, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", panel.rest_port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    text = response.read(2000).decode() if response.headers.get_content_type() != "text/event-stream" else ""
    connection.close()
    return response.status, text


@contextmanager
def site(text: str) -> Iterator[str]:
    """Serve a page at a port of its own, and yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def test_page_of_another_site_can_neither_read_nor_change(panel: Lab, browser: Browser) -> None:
    before = panel.good("GET", "/nfvs/1")
    with site(EVIL.replace("PORT", str(panel.rest_port))) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function("document.title === 'finished'")
        assert page.evaluate("window.results") == ["refused"] * 6
        page.close()
    after = panel.good("GET", "/nfvs/1")
    assert (after["status"], after["patches"]) == (before["status"], before["patches"]) and before["status"] == "idling"


def test_rebound_name_is_refused(panel: Lab, browser: Browser) -> None:
    page = browser.new_page()
    response = page.goto(f"http://evil.test:{panel.rest_port}/")
    assert response is not None and response.status == 403
    expect(page.locator("body")).to_contain_text("is not an address of this controller")
    page.close()


@pytest.mark.parametrize("path", ["/", "/web/panel.js", "/v1/live", "/v1/live/stream", "/metrics"])
def test_foreign_host_origin_and_site_are_refused(panel: Lab, path: str) -> None:
    assert get(panel, path)[0] == 200
    assert get(panel, path, Host="evil.test")[0] == 403
    assert get(panel, path, Origin="http://evil.test")[0] == 403
    assert get(panel, path, Origin="null")[0] == 403
    assert get(panel, path, Sec_Fetch_Site="cross-site")[0] == 403
    assert get(panel, path, Sec_Fetch_Site="same-site")[0] == 403
    assert get(panel, path, Sec_Fetch_Site="same-origin")[0] == 200


def test_other_site_may_only_link_to_the_page(panel: Lab) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert get(panel, "/", **link)[0] == 200
    assert get(panel, "/v1/live", **link)[0] == 403


@pytest.mark.parametrize(
    "path", ["/web/../app.py", "/web/%2e%2e/app.py", "/web/..%2fapp.py", "/web/", "/web/nothing.js"]
)
def test_path_never_leaves_the_table_of_files(panel: Lab, path: str) -> None:
    assert get(panel, path)[0] == 404


def test_every_answer_has_the_security_headers(panel: Lab) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", panel.rest_port, timeout=10)
    for path in ("/", "/web/panel.js", "/v1/processes", "/nothing"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    connection.close()


def test_another_user_of_this_machine_is_refused(panel: Lab) -> None:
    code = f"""
        import http.client
        c = http.client.HTTPConnection("127.0.0.1", {panel.rest_port}); c.request("GET", "/v1/live")
        print(c.getresponse().status)
    """
    assert as_user("nobody", code) == "403"
    assert as_user("root", code) == "200"


def test_stream_beyond_the_limit_is_refused_and_rest_still_answers(panel: Lab) -> None:
    streams = []
    for _ in range(16):
        connection = http.client.HTTPConnection("127.0.0.1", panel.rest_port, timeout=10)
        connection.request("GET", "/v1/live/stream")
        assert connection.getresponse().status == 200
        streams.append(connection)
    assert get(panel, "/v1/live/stream")[0] == 503
    assert get(panel, "/v1/live")[0] == 200
    for connection in streams:
        connection.close()


def test_other_address_needs_a_token(tmp_path: Path, browser: Browser) -> None:
    token_file = tmp_path / "web-token"
    with namespace() as (own, peer, name):
        words = ["--api-host", own, "--allow", f"{peer}/32", "--web-token", str(token_file)]
        with lab(tmp_path, *words) as running:
            url = f"http://{own}:{running.rest_port}"
            assert token_file.stat().st_mode & 0o777 == 0o600
            token = token_file.read_text().strip()
            page = browser.new_page()
            response = page.goto(url)
            assert response is not None and response.status == 401
            page.get_by_label("Token").fill("wrong")
            page.get_by_role("button", name="Open the panel").click()
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Open the panel").click()
            page.locator("#link.live").wait_for()
            page.close()
            code = f"""
                import http.client
                def ask(path, **headers):
                    c = http.client.HTTPConnection("{own}", {running.rest_port}, timeout=5)
                    c.request("GET", path, headers=headers)
                    return c.getresponse().status
                print(ask("/"), ask("/v1/live/stream"), ask("/v1/processes"),
                      ask("/v1/processes", Origin="http://{own}:{running.rest_port}"),
                      ask("/v1/processes", Cookie="sppr_token=wrong"),
                      ask("/v1/processes", Cookie="sppr_token={token}"))
            """
            assert from_namespace(name, textwrap.dedent(code)) == "401 401 200 401 401 200"
            assert token not in running.controller.text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "error: the web page at 0.0.0.0 needs a token\nhint: --web-token FILE, or --no-web; "),
        (["--web-token", "/nowhere/token"], "error: /nowhere/token: No such file or directory\nhint: "),
    ],
)
def test_other_address_without_a_token_is_an_error_at_start(words: list[str], expected: str, tmp_path: Path) -> None:
    argv = [*ARGV, "--api-port", "0", "--api-host", "0.0.0.0", *words]  # noqa: S104
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3 and done.stderr.startswith(expected), done.stderr


def test_page_can_be_disabled(tmp_path: Path) -> None:
    with lab(tmp_path, "--no-web", "--no-metrics") as running:
        assert [get(running, path)[0] for path in ("/", "/web/panel.js", "/v1/live/stream", "/metrics")] == [404] * 4
        assert get(running, "/v1/live")[0] == 200
