"""HEIC and HEIF photographs, as phones write them: Pillow reads them with a plugin, the extra ``heif``."""

try:
    from pillow_heif import register_heif_opener
except ImportError:
    SUFFIXES: tuple[str, ...] = ()
else:
    register_heif_opener()
    SUFFIXES = (".heic", ".heif", ".hif")
"""Endings of the files that can be read; none without the plugin."""

INSTALLABLE = dict.fromkeys((".heic", ".heif", ".hif"), "gan_lab[heif]") if not SUFFIXES else {}
"""What reads further endings once it is installed."""
