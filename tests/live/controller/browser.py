"""A headless Chromium of the distribution, driven by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

#: Root may not use Chromium's sandbox.
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "make test installs chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[Page]:
    """Open the page, and check at the end that it had no error and violated no policy."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    try:
        page.goto(url)
        page.locator("#link.live").wait_for()
        yield page
        unexpected = [text for text in errors if "the server responded with a status of 400" not in text]
        assert unexpected == []
    finally:
        page.close()
