"""A headless Chromium of the system, and what it measures of a page."""

from __future__ import annotations

import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

INSTALL = "apt-get install --no-install-recommends chromium chromium-driver"
_SWITCHES = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
# Marks are what shows data. Boxes are in pixels of the screen: left, top, right, bottom.
_MEASURE = """
const box = it => {
  const found = it.getBoundingClientRect();
  return [found.left, found.top, found.right, found.bottom];
};
const scale = it => { const {a, b} = it.getScreenCTM(); return Math.hypot(a, b); };
const shown = it => it.checkVisibility() && it.textContent.trim();
const own = it => [...it.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const html = [...document.querySelectorAll('body *')].filter(it => !it.closest('svg') && shown(it));
const size = it => parseFloat(getComputedStyle(it).fontSize);
const figures = [...document.querySelectorAll('figure')].map(figure => {
  const svg = figure.querySelector('svg');
  return {
    name: figure.id,
    box: svg && box(svg),
    marks: svg ? [...svg.querySelectorAll('.mark path, .mark use')].map(box) : [],
    texts: svg ? [...svg.querySelectorAll('text')].map(
      it => ({text: it.textContent, size: size(it) * scale(it), box: box(it)})) : [],
  };
});
return {
  title: document.title,
  client: document.documentElement.clientWidth,
  scroll: document.documentElement.scrollWidth,
  requests: performance.getEntriesByType('resource').map(it => it.name),
  words: html.filter(own).map(it => ({text: it.textContent, size: size(it), box: box(it)})),
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.querySelector('svg text') ?? document.body).fill,
  figures,
};
"""


@frozen
class Seen:
    """A page as it was shown: what was measured of it, and what the console said."""

    page: dict[str, Any]
    console: list[dict[str, Any]]


class Chromium:
    """A browser that shows pages at a width, by day or by night."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def look(self, file: Path, width: int, *, night: bool = False) -> Seen:
        """Open a file as a phone or a desk of this width shows it."""
        phone = width < 600
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": phone}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if night else "light"}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._driver.get(file.as_uri())
        measured = self._driver.execute_script(_MEASURE)
        return Seen(page=measured, console=self._driver.get_log("browser"))

    def style(self, selector: str, name: str) -> str:
        """Return what a style comes to, of an element of the page that is shown."""
        script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        return self._driver.execute_script(script, selector, name)

    def printed(self, file: Path) -> bytes:
        """Open a file and print it, as a PDF."""
        self._driver.get(file.as_uri())
        options = {"preferCSSPageSize": True, "printBackground": True}
        return b64decode(self._driver.execute_cdp_cmd("Page.printToPDF", options)["data"])


@contextmanager
def chromium(profile: Path) -> Iterator[Chromium]:
    """Start the browser with a fresh profile; fail with what to install if there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail(f"this needs Chromium and its driver: {INSTALL}", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for each in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(each)
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Chromium(started)
    finally:
        started.quit()
