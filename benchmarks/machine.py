"""The machine and the packages that were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

PACKAGES = ("coachstream", "aiohttp", "msgspec", "anyio", "aiolimiter", "samsara-api", "dlt")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A computer and its installed packages."""

    processor: str
    cores: int
    load: float | None
    """The load average of the minute before the measurement."""
    system: str
    python: str
    packages: dict[str, str]
    at: datetime


def this_machine() -> Machine:
    """Return the machine that this runs on."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: found for name in PACKAGES if (found := _version(name))},
        at=datetime.now(UTC),
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
