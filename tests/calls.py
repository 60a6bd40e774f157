"""The command line, called in this process."""

import sys

import pytest


def call(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return main()


def refused(monkeypatch, capsys, main, *arguments):
    """The sentence that a wrong command ends with."""
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, main, *arguments)
    assert end.value.code == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert sentence.startswith("gan_lab: ") and sentence.endswith(".")
    return sentence
