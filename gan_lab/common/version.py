"""The version of this package, which checkpoints and reports record."""

VERSION = "0.1.0"
