import shutil

import pytest
from chromium import Browser


@pytest.fixture
def browser(tmp_path):
    assert shutil.which("chromium"), "make browser installs Chromium"
    return Browser(tmp_path)
