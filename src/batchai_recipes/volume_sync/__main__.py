"""Copies volumes as the request in a folder says: ``python -m batchai_recipes.volume_sync FOLDER``.

The exit status is 0 when all went well; ``result.json`` in the folder tells what did not.
"""

import logging
import sys
from pathlib import Path

from batchai_recipes.volume_sync.request import RequestError, take_request
from batchai_recipes.volume_sync.synchronisation import Synchronisation, write_result


def main(control: Path) -> int:
    """Do what a request asks.

    Args:
        control: The folder that holds it.

    Returns:
        The exit status.
    """
    # The clients log each retry of each request.
    logging.getLogger("azure").setLevel(logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        request = take_request(control)
    except RequestError as error:
        write_result(control, str(error))
        return 2
    return 0 if Synchronisation(request, control).run() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
