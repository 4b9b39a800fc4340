"""Start the processes of a run on several GPUs of this machine, as torchrun would: `--gpus 0,1`."""

import signal
import sys
import uuid
from collections.abc import Callable

from semipose.errors import LostRankError

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"


def launch(count: int) -> int:
    """Run this command again in `count` processes, wait for them, and return the exit code that one would give.

    A process that ends by itself ends the others, and its number is printed.
    """
    return run_ranks(count, sys.executable, _command())


def _command() -> list[str]:
    """Arguments of Python that start this command again; `semipose JOB` has no file of its own."""
    program, *arguments = sys.argv
    return ["-m", *program.split(), *arguments] if program.startswith("semipose ") else sys.argv


def run_ranks(count: int, entry: str | Callable, arguments: list, **settings) -> int:
    """Run `entry`, a program or a function, in `count` processes of this machine; exit code as for `launch`.

    Args:
        settings: of torch's LaunchConfig.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    newer = {"signals_to_handle": SIGNALS} if "signals_to_handle" in LaunchConfig.__dataclass_fields__ else {}
    local = {
        "min_nodes": 1, "max_nodes": 1, "nproc_per_node": count, "run_id": uuid.uuid4().hex, "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0", "max_restarts": 0, "local_addr": "localhost",
    }  # fmt: skip
    try:
        elastic_launch(LaunchConfig(**local | newer | settings), entry)(*arguments)
    except SignalException as stop:
        return 128 + stop.sigval
    except ChildFailedError as error:
        return _exit_code({rank: failure.exitcode for rank, failure in error.failures.items()})
    return 0


def _exit_code(codes: dict[int, int]) -> int:
    """That of the process that failed first, not of those that only lost it."""
    own = {rank: code for rank, code in codes.items() if code != LostRankError.exit_code} or codes
    rank, code = next(iter(own.items()))
    if code >= 0:
        return code
    print(f"error: rank {rank} was ended by {signal.Signals(-code).name}", file=sys.stderr)
    return 128 - code
