"""The embedded service as the launcher starts it; people use ``batchai-recipes serve``."""

import argparse
import logging
import os
import sys
from pathlib import Path

from batchai_recipes.service.app import ServiceOptions
from batchai_recipes.service.engines.containers import POLICY_VARIABLE, parse_policy
from batchai_recipes.service.listener import PortInUseError
from batchai_recipes.service.log import start_log
from batchai_recipes.service.process import StateInUseError, run, tell_ready
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.storage_endpoints import VARIABLE, parse_blob_endpoints
from batchai_recipes.service.store import StateTooNewError


def main() -> int:
    """Run the service; return the exit status."""
    parser = argparse.ArgumentParser(prog="batchai_recipes.service", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--until-unused", action="store_true")
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    start_log(logging.INFO)
    try:
        options = ServiceOptions(
            StateDirectory(arguments.state_dir),
            blob_endpoints=parse_blob_endpoints(os.environ.get(VARIABLE, "")),
            until_unused=arguments.until_unused,
            containers=parse_policy(os.environ.get(POLICY_VARIABLE, "auto")),
        )
        run(options, announce=lambda _: tell_ready(arguments.ready_fd))
    except (StateInUseError, PortInUseError, StateTooNewError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
