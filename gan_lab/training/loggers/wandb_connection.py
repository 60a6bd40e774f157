"""Checks and ends the connection to Weights & Biases, in ways that neither fail nor hang."""

import contextlib
import http.client
import netrc
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit


def missing_requirement(seconds: float) -> str | None:
    """Says what W&B lacks to be online: a key, then a server that answers within ``seconds``.

    Returns:
        A clause for a message, or None if nothing is missing or W&B is not meant to be online.
    """
    import wandb

    settings = wandb.setup().settings
    if settings.mode != "online":
        return None
    host = urlsplit(settings.base_url).hostname or ""
    if not (settings.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or _in_netrc(host)):
        return "there is no key (set WANDB_API_KEY or run wandb login)"
    if not _answers(settings.base_url, seconds):
        return f"{settings.base_url} does not answer"
    return None


def _in_netrc(host: str) -> bool:
    try:
        known = netrc.netrc(os.environ.get("NETRC") or Path.home() / ".netrc")
    except (OSError, netrc.NetrcParseError):
        return False
    return not known.hosts.keys().isdisjoint({host, "api.wandb.ai", "default"})


def _answers(url: str, seconds: float) -> bool:
    """Returns True if the host responds to a request in any way."""
    try:
        run_with_timeout(lambda: _request(url, seconds), seconds)
    except (urllib.error.HTTPError, http.client.HTTPException):
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # W&B may trust another certificate authority
    except OSError:
        return False
    return True


def _request(url: str, seconds: float) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()


def run_with_timeout(work: Callable[[], object], seconds: float) -> None:
    """Runs a function that has no timeout of its own, such as one that resolves a host name.

    It runs in a daemon thread, which is abandoned when the time is up.

    Raises:
        TimeoutError: if the function does not return in time. Exceptions of the function are passed on.
    """
    raised: list[Exception] = []

    def task() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=task, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError(f"not done within {seconds:.3g} s")


def teardown() -> None:
    """Abandons W&B's service process, so that the next run starts a new one.

    After a failed start or end the service would still try to send what is left, and this process would wait for it.
    """
    import wandb

    with contextlib.suppress(Exception):
        run_with_timeout(wandb.teardown, 0.5)
