"""Models on the Hugging Face Hub, under addresses such as ``hf://user/name`` or ``hf://user/name@revision``.

The library huggingface_hub keeps what it downloads, and takes the token from where ``hf auth login`` or ``HF_TOKEN``
has put it; it never comes through here. ``HF_ENDPOINT`` names another server.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_lab.common.errors import UserError

SCHEME = "hf:"
ADDRESS = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[^@\s]+))?")
"""Paths keep one of the slashes, so addresses are read with one, too."""


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Args:
        name: of the repository, ``user/name``.
        revision: a branch, a tag or a commit; None for the newest.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.name}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def of(cls, given: object, key: str = "checkpoint") -> "HubModel":
        """Reads an address.

        Raises:
            UserError: if it is none.
        """
        text = re.sub("^hf:/+", "hf://", str(given))
        match = ADDRESS.fullmatch(text)
        if match is None:
            raise UserError(f"{key}={text} is no address on the hub: give hf://user/name or hf://user/name@revision.")
        return cls(match["name"], match["revision"])

    def download(self, files: Sequence[str]) -> Path:
        """Returns the path of the first of some files, which lie beside it; downloads those that are not here.

        Without a network, the copy of an earlier download is used.

        Raises:
            UserError: if there is none, or the hub has no such model.
        """
        hub = _library()
        with _in_words(f"{self} cannot be loaded", "check the address, the network, and your access to it"):
            folder = Path(hub.snapshot_download(self.name, revision=self.revision, allow_patterns=[*files]))
        if not all((folder / file).is_file() for file in files):
            raise UserError(
                f"{self} is no model of gan_lab ({' and '.join(files)}): give one that gan_lab.export pushed."
            )
        return folder / files[0]

    def check_token(self) -> None:
        """Checks that there is a token, which pushing needs.

        Raises:
            UserError: without one.
        """
        if _library().get_token() is None:
            raise UserError(f"Pushing to {self} needs a token of the hub: run hf auth login, or set HF_TOKEN.")

    def push(self, files: Sequence[Path], private: bool = False) -> str:
        """Uploads files, in one commit; makes the repository if there is none.

        Args:
            files: they keep their names.
            private: a new repository is one that others do not see.

        Returns:
            the address of the commit.

        Raises:
            UserError: without a token, and if the hub refuses.
        """
        self.check_token()
        hub = _library()
        with _in_words(f"{self} cannot be written", "check the address, the network, and what your token may do"):
            api, added = hub.HfApi(), [hub.CommitOperationAdd(file.name, file) for file in files]
            api.create_repo(self.name, private=private or None, exist_ok=True)
            made = api.create_commit(self.name, added, commit_message="A model of gan_lab", revision=self.revision)
        return str(made.commit_url)


def is_on_hub(given: object) -> bool:
    """True if a path or text is an address on the hub."""
    return str(given).startswith(SCHEME)


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise UserError('The hub needs huggingface_hub: pip install "gan_lab[hub]".') from error
    return huggingface_hub


@contextmanager
def _in_words(fails: str, works: str) -> Iterator[None]:
    """Says in one sentence what the hub or the network refuses.

    Raises:
        UserError: in place of their errors.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise UserError(f"{fails} ({reason_without_addresses(error)}): {works}.") from error
    except Exception as error:
        if "HTTPError" not in {each.__name__ for each in type(error).__mro__}:  # the network's: no OSError of Python
            raise
        raise UserError(f"{fails} ({reason_without_addresses(error)}): {works}.") from error


def reason_without_addresses(error: BaseException) -> str:
    """The first sentence of an error without addresses, which may hold a signature."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    words = {401: "not allowed, or there is none", 403: "not allowed", 404: "there is none"}
    if status is not None:
        return words.get(status, f"status {status}")
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return without_user(re.sub(r"https?://\S+", "…", first).rstrip(". "))


def without_user(text: str) -> str:
    """Takes names and passwords out of addresses in a text, such as ``s3://key:secret@bucket``."""
    return re.sub(r"(\w:/+)[^/\s]*@", r"\1…@", text)
