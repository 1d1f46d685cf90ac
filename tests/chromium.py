"""
A Chromium that looks at a page and tells what it sees: pictures, and what a program can measure.
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
_START_SECONDS = 60

# Programs that find what is drawn wrongly, each as a list.
WIDER_THAN_THE_PAGE = """
[...document.querySelectorAll('body *')]
  .filter(each => !each.closest('.scroll *, svg *, .unseen') && each.getBoundingClientRect().right > innerWidth + 0.5)
  .map(each => each.tagName + '.' + each.getAttribute('class'))
"""
OVER_EACH_OTHER = """
[...document.querySelectorAll('.chart svg')].flatMap(chart => {
  const boxes = [...chart.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()])
    .filter(([_, box]) => box.width)
  return boxes.flatMap(([one, a], place) => boxes.slice(place + 1)
    .filter(([_, b]) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
    .map(([other, _]) => one + ' / ' + other))
})
"""
CUT_OFF_IN_FIGURES = """
[...document.querySelectorAll('.figures dd, .figures dt, h1, figcaption, footer p')]
  .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent)
"""
OVER_THE_EDGE = """
[...document.querySelectorAll('.chart text')].filter(text => {
  const box = text.getBoundingClientRect()
  return box.width && (box.left < 0 || box.right > innerWidth)
}).map(text => text.textContent)
"""
MISTAKES = (WIDER_THAN_THE_PAGE, OVER_EACH_OTHER, CUT_OFF_IN_FIGURES, OVER_THE_EDGE)


class Browser:
    """
    One tab, spoken to by the DevTools protocol.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Any:
        id = next(self._ids)
        self._connection.send(json.dumps({"id": id, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == id:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, page: Path, *, width: int, dark: bool = False, media: str = "screen") -> None:
        """
        Show a page when all of it is there.
        """
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.ask("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self._connection.recv(timeout=60)))

    def run(self, program: str) -> Any:
        """
        What an expression of JavaScript comes to; the page itself may run none.
        """
        answer = self.ask("Runtime.evaluate", expression=program, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path: Path, *, height_max: int = 12_000) -> None:
        """
        The whole page, however long, as a PNG file.
        """
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height_max), "scale": 1}
        shot = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """
        What it wrote in its console, and what it asked of other places than the page's own file.
        """
        self.run("0")  # Events come in order: what happened before has been told by now.
        said = [json.dumps(event) for event in self.events if event["method"] in _COMPLAINTS]
        asked = [event["params"]["request"]["url"] for event in self.events if event["method"] == _REQUEST]
        return said + asked[1:]


_COMPLAINTS = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
_REQUEST = "Network.requestWillBeSent"


@contextmanager
def browser() -> Iterator[Browser]:
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [PROGRAM, *_FLAGS, f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            with connect(_tab(process), max_size=None, open_timeout=60) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _tab(process: subprocess.Popen[str]) -> str:
    """
    The address of its first tab, once it says where it listens.
    """
    import urllib.request

    assert process.stderr is not None
    end = time.monotonic() + _START_SECONDS
    for line in process.stderr:
        if line.startswith("DevTools listening on "):
            place = line.split("ws://")[1].partition("/")[0]
            with urllib.request.urlopen(f"http://{place}/json/list", timeout=30) as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            return str(pages[0]["webSocketDebuggerUrl"])
        assert time.monotonic() < end, "Chromium does not say where it listens"
    raise AssertionError("Chromium ended before it listened")
