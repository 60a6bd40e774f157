"""Pages as a browser sees them."""

import re
import subprocess

from PIL import Image

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
LOCAL = ("file:", "data:", "blob:")


class Browser:
    """What Chromium makes of a page: its document after scripts ran, its console, its requests, its look."""

    def __init__(self, folder):
        self.folder = folder

    def open(self, page, width=1100):
        log, picture = self.folder / "net.json", self.folder / f"{page.stem}.png"
        command = [
            "chromium", *QUIET, "--no-first-run", "--enable-logging=stderr",
            f"--user-data-dir={self.folder / 'profile'}",
            "--virtual-time-budget=4000", f"--window-size={width},1600", f"--log-net-log={log}",
        ]  # fmt: skip
        shown = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
        self.document, self.console = shown.stdout, re.findall(r"CONSOLE.*", shown.stderr)
        # The browser's own requests, for updates and the like, have no origin; a page's have, were it an opaque one.
        urls = re.findall(r'"initiator":"(?!not an origin)[^\n]*?"url":"([^"]+)"', log.read_text(errors="replace"))
        self.outside = [url for url in urls if not url.startswith(LOCAL)]
        subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=120)
        return Image.open(picture).convert("RGB")
