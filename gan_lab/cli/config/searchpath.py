"""Hydra's plugin for the folder of recipes and sweeps."""

from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from gan_lab.cli.config.paths import home

PROVIDER = "gan_lab-experiments"


class Experiments(SearchPathPlugin):
    """Appends the folder of recipes and sweeps to the search path.

    Hydra 1.4 finds plugins by entry points, in other programs too. Theirs stay as they are, unless they use this
    program's configuration.

    Attributes:
        folder: the folder, once this program has been made ready.
    """

    folder: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends the folder, once."""
        places = {each.provider: each.path for each in search_path.get_path()}
        own = places.get("main", "").removeprefix("file://") == str(home("conf"))
        folder = self.folder or (home("experiments") if own else None)
        if folder and PROVIDER not in places:
            search_path.append(PROVIDER, f"file://{folder}")
