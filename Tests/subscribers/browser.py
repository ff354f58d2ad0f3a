"""A page in a headless Chromium, driven over the DevTools protocol (the `Target` and `Runtime` domains of its stable
part) with nothing but the websocket client."""

import asyncio
import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.request

import websockets

PROGRAMS = ("chromium-headless-shell", "chromium")


def program():
    """The browser of this machine; None when there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Page:
    """A page of a folder, served from loopback so that it has an origin, in a browser of its own."""

    def __init__(self, folder, path):
        self.directory = tempfile.mkdtemp(prefix="chromium-")
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(QuietFiles, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.log = open(os.path.join(self.directory, "log"), "w")
        self.process = subprocess.Popen(
            [program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-port=0", f"--user-data-dir={self.directory}/profile",
             f"http://127.0.0.1:{self.server.server_address[1]}/{path}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.count = 0

    async def open(self):
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                with open(os.path.join(self.directory, "profile/DevToolsActivePort")) as file:
                    port = int(file.readline())
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=2) as answer:
                    pages = [one for one in json.load(answer) if one["type"] == "page"]
                self.socket = await websockets.connect(pages[0]["webSocketDebuggerUrl"], max_size=None)
                while not await self.evaluate('location.protocol === "http:" && document.readyState === "complete"'):
                    await asyncio.sleep(0.05)
                return self
            except (OSError, ValueError, IndexError):
                await asyncio.sleep(0.1)
        with open(os.path.join(self.directory, "log"), errors="replace") as file:
            raise SystemExit(f"the browser did not start\n{file.read()[-2000:]}")

    async def evaluate(self, expression):
        """The value of an expression in the page."""
        self.count += 1
        await self.socket.send(json.dumps({
            "id": self.count, "method": "Runtime.evaluate",
            "params": {"expression": expression, "returnByValue": True}}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
            if answer.get("id") == self.count:
                result = answer["result"]
                if "exceptionDetails" in result:
                    raise SystemExit(f"the page failed: {result['exceptionDetails']}")
                return result["result"].get("value")

    async def close(self):
        await self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.server.shutdown()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
