"""Translating files."""

from dataclasses import dataclass
from pathlib import Path

from gan_lab.data.reading.files import Entry


@dataclass(frozen=True)
class Job:
    """One picture: where it lies, and where its translation goes."""

    entry: Entry
    output: Path

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def links(self) -> dict[str, Path]:
        """Files to be opened from the sheet; none is in a zip."""
        return {"output": self.output} | ({"input": self.entry.file} if self.entry.member is None else {})
