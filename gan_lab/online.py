"""Whether Weights & Biases can be reached, asked in a way that can neither die nor hang."""

import netrc
import os
import socket
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit


def lack() -> str | None:
    """What W&B needs to be online and does not have: a key, then a network. None also where it is not to be online."""
    import wandb

    settings = wandb.setup().settings
    if settings.mode != "online":
        return None
    host = urlsplit(settings.base_url).hostname or ""
    if not (settings.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or _in_netrc(host)):
        return "there is no key (set WANDB_API_KEY or run wandb login)"
    if not _reachable(settings.base_url):
        return f"{settings.base_url} cannot be reached"
    return None


def _in_netrc(host: str) -> bool:
    try:
        known = netrc.netrc(os.environ.get("NETRC") or Path.home() / ".netrc")
    except (OSError, netrc.NetrcParseError):
        return False
    return not known.hosts.keys().isdisjoint({host, "api.wandb.ai", "default"})


def _reachable(url: str, seconds: float = 3.0) -> bool:
    """Whether the host, or the proxy that leads to it, takes a TCP connection. Name resolution has no time limit of
    its own, so all of it happens in a thread that is given up.
    """
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
    goal = urlsplit(proxy or url)
    address = goal.hostname or "", goal.port or (443 if goal.scheme == "https" else 80)
    answered = threading.Event()

    def knock() -> None:
        try:
            socket.create_connection(address, seconds).close()
            answered.set()
        except OSError:
            pass

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()
