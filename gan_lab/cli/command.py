"""The road of every command: from the command line to a typed request, a model, and artefacts.

A command is one file with a frozen request and one function, and one YAML file with its keys and defaults:

    @command(PredictRequest, needs=Predicts, lacks="cannot continue frames")
    def predict(session: Session, request: PredictRequest) -> Iterator[Artifact]: ...

Everything else is here: composing, checking values, quoting paths, loading the checkpoint once, refusing a model that
lacks the capability, devices, and delivering artefacts.
"""

from __future__ import annotations

import importlib
import inspect
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gan_lab.cli.artifacts import say
from gan_lab.cli.config import overrides
from gan_lab.cli.config.deprecations import print_warnings
from gan_lab.cli.config.paths import home
from gan_lab.cli.errors import quiet_without_reader, report_all_errors, report_user_errors
from gan_lab.cli.help import group_names, help_text, key_names, usage
from gan_lab.cli.requests import ModelRequest, Request, words_field
from gan_lab.cli.session import Session
from gan_lab.common.background import Background
from gan_lab.common.errors import UserError
from gan_lab.common.import_path import add_current_folder
from gan_lab.common.stopping import exits_on_signals
from gan_lab.common.trust import trust_argument

if TYPE_CHECKING:
    from omegaconf import DictConfig

R = TypeVar("R", bound=Request)
Work = Callable[..., Any]
COMMANDS = (
    "train",
    "sample",
    "reconstruct",
    "predict",
    "translate",
    "restore",
    "edit",
    "augment",
    "inspect",
    "stylize",
    "export",
    "evaluate",
    "compare",
    "report",
    "fetch",
    "cache",
    "pack",
    "dashboard",
)
OF_PICTURES = ("sample", "reconstruct", "predict", "translate", "restore", "edit", "stylize")
"""Commands that are proposed for a model: they make pictures, and need no more than their paths."""
QUIET = ("hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null", "hydra.run.dir=.",
         "hydra.sweep.dir=.", "hydra.sweep.subdir=.", "hydra.job.chdir=false")  # fmt: skip
"""Commands leave no folder of Hydra's behind."""


def command(
    request: type[R],
    needs: Any = None,
    lacks: str = "",
    example: str = "",
    parts: Callable[[R], int | None] = lambda _: 1,
    prepare: Callable[[DictConfig], None] | None = None,
    wrap: Callable[[Work], Work] = lambda perform: perform,
    complete: Callable[[Sequence[str]], Sequence[str]] = lambda arguments: arguments,
) -> Callable[[Work], Command]:
    """Makes a command of a function over a session and a request, or over a request alone if no checkpoint is needed.

    Args:
        request: the typed keys.
        needs: a capability of ``gan_lab.common.capabilities``, or a union of them.
        lacks: what a model without it cannot do, for the sentence that refuses it ("cannot continue frames").
        example: a choice of a model that has it ("model=simvp").
        parts: the number of parts into which the work falls, for ``devices=auto``; None for any number.
        prepare: called with the composed configuration before it is resolved.
        wrap: changes what the command line performs, such as recording a sweep's jobs.
        complete: adds to the arguments what they stand for, such as those of a run that is resumed.
    """
    return lambda work: Command(work, request, needs, lacks, example, parts, prepare, wrap, complete)


class Command:
    """A command; see ``command``. Calling it runs the process's own command line."""

    def __init__(
        self,
        work: Work,
        request: type[Request],
        needs: Any,
        lacks: str,
        example: str,
        parts: Callable[[Any], int | None],
        prepare: Callable[[DictConfig], None] | None,
        wrap: Callable[[Work], Work],
        complete: Callable[[Sequence[str]], Sequence[str]],
    ) -> None:
        self.work, self.request, self.needs, self.lacks = work, request, needs, lacks
        self.example, self.parts, self.prepare, self.wrap, self.complete = example, parts, prepare, wrap, complete
        update_wrapper(self, work)

    @cached_property
    def module(self) -> str:
        """The module that other processes import the command from."""
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        return spec.name if self.work.__module__ == "__main__" and spec else self.work.__module__

    @property
    def name(self) -> str:
        return self.work.__name__

    @cached_property
    def config(self) -> Path:
        """The YAML file: beside the command, or among the program's own."""
        beside = Path(self.work.__code__.co_filename).with_name(f"{self.name}.yaml")
        return beside if beside.is_file() else home("conf") / f"{self.name}.yaml"

    @property
    def inputs(self) -> str:
        """The keys with paths that must be given besides the checkpoint."""
        kinds = [each for each in self.request.__mro__ if each not in ModelRequest.__mro__]
        hints = [item for each in kinds for item in inspect.get_annotations(each).items()]
        return "".join(f" {key}=…" for key, kind in hints if kind in (Path, "Path"))

    # From the command line.

    def __call__(self) -> Any:
        """Runs the command line of this process; SIGTERM and SIGHUP exit with 143 and 129 wherever it is."""
        with exits_on_signals(), quiet_without_reader():
            return self._run()

    def _run(self) -> Any:
        if words_field(self.request):
            return self._run_words(sys.argv[1:])
        if any(argument in ("-h", "--help") for argument in sys.argv[1:]):
            print(help_text(self))
            sys.exit(0)
        make_ready(self.name, sys.argv[1:])
        print_warnings()
        return report_user_errors(self._compose_and_perform)(sys.argv[1:])

    def _compose_and_perform(self, arguments: Sequence[str]) -> Any:
        from gan_lab.cli.hydra_app import run

        return run(self.config, self.request, self._overrides(arguments), report_all_errors(self._work_anywhere()))

    def _work_anywhere(self) -> Work:
        """Returns what the command line performs, as other processes can import it, which launchers send it to."""
        found = self if self.module == "__main__" else getattr(importlib.import_module(self.module), self.name)
        work: Work = found.wrap(found.perform)
        return work

    def _overrides(self, arguments: Sequence[str]) -> list[str]:
        quoted = overrides.quote_paths(self.complete(arguments), self.request)
        if self.name == "train":
            return quoted
        given = {each.partition("=")[0] for each in quoted}
        quiet = [each for each in QUIET if each.partition("=")[0] not in given]
        return [*quoted, *quiet, f"hydra.help.app_name=gan_lab.{self.name}"]

    def _run_words(self, arguments: Sequence[str]) -> Any:
        """Runs a command that takes words and a few keys, and needs no configuration."""
        if arguments[:1] == ["-sc"]:  # the shell asks for completions: without an answer it completes file names
            return None
        if not arguments or any(argument in ("-h", "--help") for argument in arguments):
            print(usage(self), file=sys.stdout if arguments else sys.stderr)
            sys.exit(0 if arguments else 2)
        return report_user_errors(self._deliver_words)(arguments)

    def _deliver_words(self, arguments: Sequence[str]) -> None:
        self.execute(overrides.words_request(self.request, arguments))

    def refuse_unread(self, arguments: Sequence[str], config: DictConfig) -> None:
        """Raises UserError if an argument adds a key to the configuration that nothing reads."""
        from gan_lab.cli.config.mistakes import refuse_unread

        text = self.config.read_text()
        refuse_unread(arguments, group_names(text), key_names(text), config)

    # From a configuration, or from Python.

    def run(self, *arguments: str) -> Any:
        """Does from Python what ``python -m gan_lab.<name> <arguments>`` does; errors are raised.

        Raises:
            UserError: for everything that the command refuses.
        """
        from gan_lab.cli.config.compose import compose
        from gan_lab.cli.config.resuming import composed_from

        make_ready(self.name, arguments)
        with composed_from(self.complete(arguments)):
            return self.perform(compose(arguments, self.name))

    def perform(self, config: DictConfig) -> Any:
        """Checks the composed configuration, resolves it once, and executes the request.

        Raises:
            UserError: for a value that is not valid, and everything that the work refuses.
        """
        from gan_lab.cli.config.resuming import task_overrides

        self.refuse_unread(task_overrides() or [], config)
        return self.execute(cast(Any, self.request.checked(self.check(config))))

    def check(self, config: DictConfig) -> dict[str, Any]:
        """Checks the composed configuration before anything is done, and returns it resolved, in plain containers.

        Raises:
            UserError: for a value that is not valid.
        """
        from omegaconf.errors import OmegaConfBaseException

        from gan_lab.cli.config.compose import check_given, resolve
        from gan_lab.cli.config.mistakes import first_line, of_resolver

        check_given(config, self.request)
        try:
            if self.prepare is not None:
                self.prepare(config)
        except OmegaConfBaseException as error:  # a key is missing that every configuration has
            words = of_resolver(error) or f"The configuration is not complete: {first_line(str(error))}."
            raise UserError(words) from error
        return resolve(config)

    def execute(self, request: Request) -> Any:
        """Executes a request, on every device that it asks for.

        Raises:
            UserError: for everything that the work refuses.
        """
        request = _with_found_checkpoint(request)
        request.check_places()
        if not isinstance(request, ModelRequest):
            return deliver(self.work(request), request)
        from gan_lab.common.launch import on_every_device  # torch is slow to import

        work = partial(_on_device, self.module, self.name, request)
        return on_every_device(work, request.device, request.devices, self.parts(request))

    def refuse(self, session: Session) -> None:
        """Raises UserError if the model lacks the capability, naming the commands that would work."""
        if session.model is None or isinstance(session.model, self.needs):
            return
        works = [each for each in map(command_named, OF_PICTURES) if isinstance(session.model, each.needs or ())]
        checkpoint = shlex.quote(str(session.path)) + trust_argument(session.trust)
        lines = [f"python -m gan_lab.{each.name} checkpoint={checkpoint}{each.inputs}" for each in works]
        instead = f"try {', or '.join(lines)}" if lines else f"train one that can, such as {self.example}"
        raise UserError(f"{session.path} holds the model {session.name}, which {self.lacks}: {instead}.")


def _with_found_checkpoint(request: Request) -> Request:
    """Puts the path of the checkpoint that a name stands for into a request, and says which one that is.

    Raises:
        UserError: if there is none.
    """
    given = getattr(request, "checkpoint", None)
    if not isinstance(request, ModelRequest) or given is None:
        return request
    from gan_lab.common.named_checkpoints import named_checkpoint

    found = named_checkpoint(given)
    if given.expanduser().exists():
        return request
    from gan_lab.common.distributed import is_rank_zero  # torch is slow to import

    if is_rank_zero():
        say(f"checkpoint={given}: {found}")
    return replace(request, checkpoint=found)


def _on_device(module: str, name: str, request: ModelRequest, device: str) -> Any:
    """Does the work of one process."""
    found = getattr(importlib.import_module(module) if module != "__main__" else sys.modules[module], name)
    session = Session.open(request, device)
    found.refuse(session)
    from gan_lab.common.precision import asked_precision

    with asked_precision(getattr(request, "precision", "fp32"), session.device):
        return deliver(found.work(session, request), request)


def deliver(artifacts: Any, request: Request) -> Any:
    """Writes artefacts as they come and lists their paths at the end; returns what is no artefact as it is."""
    if not isinstance(artifacts, Iterator):
        return artifacts
    from gan_lab.common.distributed import rank_and_world_size

    output, rank = request.destination(), rank_and_world_size()[0]
    with Background() as background:
        written = [path for artifact in artifacts for path in output.deliver(artifact, background, rank)]
    if written and rank == 0:
        say(f"Wrote {', '.join(map(str, written))}")
    return None


def command_named(name: str) -> Command:
    """One of the program's own commands."""
    found: Command = getattr(importlib.import_module(f"gan_lab.{name}"), name)
    return found


def commands() -> list[Command]:
    """The program's own commands."""
    return [command_named(name) for name in COMMANDS]


def make_ready(name: str, arguments: Sequence[str]) -> None:
    """Makes known to Hydra what configurations use: resolvers, recipes, the sweeper, the caller's own modules.

    Args:
        name: of the command. Training finds any module in the current folder, because any configuration may name a
            method of one's own. Another command, which may work on a stranger's checkpoint in a stranger's folder,
            finds only modules that its command line names.
        arguments: the command line.
    """
    from gan_lab.cli.config.paths import add_searchpath

    importlib.import_module("gan_lab.cli.config.resolvers")
    add_current_folder(None if name == "train" else overrides.named_modules(arguments))
    add_searchpath(home("experiments"))
    importlib.import_module("gan_lab.cli.sweeps.search").register()
