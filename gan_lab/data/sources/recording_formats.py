"""Colours of recordings, found without decoding them."""

from collections import Counter
from pathlib import Path

from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.formats import UNKNOWN, Formats, formats_of
from gan_lab.data.reading.frames import ARRAYS, VIDEOS, read_array
from gan_lab.data.reading.listing import Entry
from gan_lab.data.sources.recording_files import Recording, find_recordings


def formats_of_recordings(root: Path, cache: Path | None = None) -> Formats:
    """Counts the recordings below a path, and those of them that are grey; their sizes stay unknown.

    Args:
        root: the path.
        cache: see ``formats_of``.

    Raises:
        UserError: if there is nothing, or no recording, or an array that cannot be read.
    """
    found = [each for split in find_recordings(root).values() for each in split]
    return Formats(Counter({UNKNOWN: len(found)}), sum(_is_grey(each, cache) for each in found))


def _is_grey(recording: Recording, cache: Path | None) -> bool:
    """Tells whether all stills of a recording, the first frame of an animation, or an array are grey; no video is."""
    suffix = recording.path.suffix.lower()
    if not recording.stills and suffix in VIDEOS:
        return False
    if not recording.stills and suffix in ARRAYS:
        shape = read_array(recording.path, "frames").shape
        return len(shape) == 3 or 3 not in (shape[1], shape[-1])
    files = [Entry((file.name,), str(file)) for file in recording.stills or (recording.path,)]
    formats = formats_of(ImageFiles(files), cache)
    return len(formats) > 0 and formats.channels == 1
