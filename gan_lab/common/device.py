"""The devices of this machine: selection, memory, precision, description."""

import os
import platform
from pathlib import Path

import lightning
import torch

from gan_lab.common.errors import UserError
from gan_lab.common.version import __version__
from gan_lab.common.wording import counted


def resolve_device(name: str) -> torch.device:
    """Returns the device with a name, such as cpu or cuda:0; ``auto`` is the GPU if there is one, else the CPU.

    Raises:
        UserError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name} is not available: try device=auto, cpu or cuda:0.") from error


def available_memory(device: torch.device) -> int:
    """Returns the bytes that can be allocated on the device now.

    On a system without ``/proc/meminfo`` it is half of the main memory.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    free = next(
        int(line.split()[1]) << 10 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")
    )
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if not limit.exists() or not limit.read_text().strip().isdigit():
        return free
    return max(0, min(free, int(limit.read_text()) - int(used.read_text()) + _reclaimable()))


def _reclaimable() -> int:
    """Returns the bytes of cached files that count towards the control group's use, but are freed on demand."""
    stat = Path("/sys/fs/cgroup/memory.stat")
    lines = stat.read_text().splitlines() if stat.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def auto_precision(accelerator: str) -> str:
    """Returns bf16-mixed if the hardware multiplies in bfloat16 (CUDA, AMX, AVX512-BF16), else 32-true.

    Args:
        accelerator: the trainer's; "cpu" ignores GPUs.
    """
    if torch.cuda.is_available() and accelerator != "cpu":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if bfloat16_instructions() else "32-true"


def bfloat16_instructions() -> str | None:
    """Returns the name of this CPU's instructions for products in bfloat16, or None if it has none."""
    probes = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    return next((name for name, probe in probes.items() if getattr(torch.cpu, probe, bool)()), None)


def describe_hardware(device: torch.device, devices: int = 1) -> str:
    """Describes the hardware of a run in a phrase, for reports.

    Args:
        device: of this process.
        devices: number of devices, or of processes on the CPU.
    """
    if device.type == "cuda":
        return f"{devices} × {torch.cuda.get_device_name(device)}"
    unit = bfloat16_instructions() or "no bfloat16"
    threads = torch.get_num_threads()
    processes = f"{counted(devices, 'process', 'processes')} of {counted(threads, 'thread')}"
    return f"{platform.machine()} CPU with {unit}, {processes}"


def versions() -> dict[str, str]:
    """Returns the versions of this package, PyTorch and Lightning, on which results depend."""
    return {"gan_lab": __version__, "torch": str(torch.__version__), "lightning": lightning.__version__}
