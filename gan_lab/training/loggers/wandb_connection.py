"""Whether Weights & Biases can be reached, and left, in ways that can neither die nor hang."""

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


def lack(seconds: float) -> str | None:
    """What W&B needs to be online and does not have: a key, then a server that answers within so many seconds.

    None also where it is not to be online.
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
    """Whether the host says anything to a request."""
    try:
        limited(lambda: _ask(url, seconds), seconds)
    except (urllib.error.HTTPError, http.client.HTTPException):
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # W&B may trust another authority
    except OSError:
        return False
    return True


def _ask(url: str, seconds: float) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()


def limited(work: Callable[[], object], seconds: float) -> None:
    """Does something that has no time limit of its own, such as resolving a name, in a thread that is given up.

    Raises:
        TimeoutError: if it is not done in time; else whatever the work raises.
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


def let_go() -> None:
    """Leaves W&B's service to end by itself, and the next run to a new one.

    What a failed start or end has left behind it would still try to send, and the process would wait for that.
    """
    import wandb

    with contextlib.suppress(Exception):
        limited(wandb.teardown, 0.5)
