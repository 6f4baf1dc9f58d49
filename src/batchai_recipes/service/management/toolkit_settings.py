"""The settings of the toolkits that a job can run, of which it names exactly one."""

from collections.abc import Mapping
from typing import Any, Final

from batchai_recipes.service.management.shapes import (
    Choice,
    Property,
    Structure,
    Text,
    Whole,
    refuse,
)

_MAXIMUM_PROCESSES: Final = 10_000
_FILE: Final = Property(Text(filled=True))
_REQUIRED_FILE: Final = Property(Text(filled=True), required=True)
_ARGUMENTS: Final = Property(Text())
_COMMAND_LINE: Final = Property(Text(filled=True), required=True)
_COUNT: Final = Property(Whole(1, _MAXIMUM_PROCESSES))
_PYTHON: Final = {
    "pythonScriptFilePath": _REQUIRED_FILE,
    "pythonInterpreterPath": _FILE,
    "commandLineArgs": _ARGUMENTS,
}
_SCRIPT_OR_CONFIG: Final = {
    "configFilePath": _FILE,
    "pythonScriptFilePath": _FILE,
    "pythonInterpreterPath": _FILE,
    "commandLineArgs": _ARGUMENTS,
    "processCount": _COUNT,
}


def _check_cntk(settings: dict[str, Any], at: str) -> None:
    guess = "BrainScript" if "configFilePath" in settings else "Python"  # as recipes leave it out
    language = settings.get("languageType", guess)
    needed, other = "pythonScriptFilePath", "configFilePath"
    if language == "BrainScript":
        needed, other = other, needed
    if needed not in settings:
        refuse(f"{at}.{needed}", f"it must be given for the languageType '{language}'.")
    if other in settings:
        refuse(f"{at}.{other}", f"it cannot be given for the languageType '{language}'.")


def _check_caffe(settings: dict[str, Any], at: str) -> None:
    if ("configFilePath" in settings) == ("pythonScriptFilePath" in settings):
        refuse(at, "exactly one of configFilePath and pythonScriptFilePath must be given.")


TOOLKITS: Final[Mapping[str, tuple[str, Structure]]] = {
    "cntkSettings": (
        "cntk",
        Structure(
            {"languageType": Property(Choice(("BrainScript", "Python"))), **_SCRIPT_OR_CONFIG},
            check=_check_cntk,
        ),
    ),
    "pyTorchSettings": (
        "pytorch",
        Structure({**_PYTHON, "processCount": _COUNT, "communicationBackend": Property(Text())}),
    ),
    "tensorFlowSettings": (
        "tensorflow",
        Structure(
            {
                "pythonScriptFilePath": _REQUIRED_FILE,
                "pythonInterpreterPath": _FILE,
                "masterCommandLineArgs": _ARGUMENTS,
                "workerCommandLineArgs": _ARGUMENTS,
                "parameterServerCommandLineArgs": _ARGUMENTS,
                "workerCount": _COUNT,
                "parameterServerCount": _COUNT,
            }
        ),
    ),
    "caffeSettings": ("caffe", Structure(_SCRIPT_OR_CONFIG, check=_check_caffe)),
    "caffe2Settings": ("caffe2", Structure(_PYTHON)),
    "chainerSettings": ("chainer", Structure({**_PYTHON, "processCount": _COUNT})),
    "customToolkitSettings": ("custom", Structure({"commandLine": _COMMAND_LINE})),
    "customMpiSettings": (
        "custommpi",
        Structure({"commandLine": _COMMAND_LINE, "processCount": _COUNT}),
    ),
    "horovodSettings": ("horovod", Structure({**_PYTHON, "processCount": _COUNT})),
}
"""The tool type and the shape of the settings of each toolkit, by the name of the settings."""


def tool_type(properties: Mapping[str, Any]) -> str:
    """Return the ``toolType`` that a GET shows.

    Args:
        properties: A job's properties in normal form.
    """
    return next(kind for name, (kind, _) in TOOLKITS.items() if name in properties)


def check_one_toolkit(properties: Mapping[str, Any], at: str) -> None:
    """Refuse a job that names no toolkit, or several.

    Args:
        properties: A job's properties in normal form.
        at: Their path in the document.

    Raises:
        ShapeError: It does.
    """
    named = [name for name in TOOLKITS if name in properties]
    if len(named) != 1:
        given = f"{' and '.join(named)} are given" if named else "none is given"
        refuse(at, f"exactly one of {', '.join(TOOLKITS)} is needed, and {given}.")
