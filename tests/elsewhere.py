"""Runs a script as if this package were on a system that lacks what Windows lacks: ``python elsewhere.py script …``.

Only this package sees it so: what it imports from outside is made for every system, and finds here what it needs.
"""

import builtins
import os
import runpy
import signal
import sys
import types
from pathlib import Path

MODULES = ("crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog",
           "termios", "tty")  # fmt: skip
OF_OS = ("chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid",
         "getpgrp", "getuid", "killpg", "mkfifo", "mknod", "nice", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "openpty",
         "posix_fadvise", "posix_fallocate", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "setpgid",
         "setsid", "statvfs", "sysconf", "uname", "WNOHANG", "wait3", "wait4")  # fmt: skip
OF_SIGNAL = ("alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "SIGALRM", "SIGCHLD", "SIGCONT",
             "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGUSR2",
             "sigwait")  # fmt: skip
PACKAGE = "gan_lab"


def without(module, names):
    """A module that lacks these names, and in which folders cannot be opened."""
    kept = {name: each for name, each in vars(module).items() if name not in names}
    poorer = types.ModuleType(module.__name__)
    vars(poorer).update(kept)
    return poorer


def opened(path, *arguments, **options):
    if Path(path).is_dir():
        raise PermissionError(13, "Permission denied", str(path))
    return os.open(path, *arguments, **options)


def synced(descriptor):
    """As ``os.fsync``, which on Windows refuses what is open for reading only."""
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    return os.fsync(descriptor)


POORER = {"os": without(os, OF_OS), "signal": without(signal, OF_SIGNAL)}
POORER["os"].open, POORER["os"].fsync = opened, synced
inherited = builtins.__import__


def imported(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if level == 0 and (importer == PACKAGE or importer.startswith(f"{PACKAGE}.")):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in POORER:
            return POORER[name]
    return inherited(name, globals, locals, fromlist, level)


builtins.__import__ = imported

if __name__ == "__main__":
    sys.argv[:] = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv[:] = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
