"""What tests of the page share: a browser."""

import os
import shutil

import pytest


@pytest.fixture(scope="module")
def chromium():
    """Start Chromium, where there is one; a context of its own is for each page."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright")
    program = os.environ.get("BIOUNET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium; apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
