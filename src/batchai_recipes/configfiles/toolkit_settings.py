"""The settings of a job's toolkit in a configuration file."""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from batchai_recipes.builders.caffe import CaffeJobBuilder
from batchai_recipes.builders.caffe2 import Caffe2JobBuilder
from batchai_recipes.builders.chainer import ChainerJobBuilder
from batchai_recipes.builders.cntk import CntkJobBuilder
from batchai_recipes.builders.custom import CustomJobBuilder, CustomMpiJobBuilder
from batchai_recipes.builders.horovod import HorovodJobBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.python_job import (
    ConfigFileJobBuilder,
    ParallelPythonJobBuilder,
    PythonJobBuilder,
    ScriptJobBuilder,
)
from batchai_recipes.builders.pytorch import CommunicationBackend, PyTorchJobBuilder
from batchai_recipes.builders.tensorflow import TensorFlowJobBuilder
from batchai_recipes.configfiles.section import Section
from batchai_recipes.errors import ConfigurationError

_Script = TypeVar("_Script", bound=ScriptJobBuilder)
_Python = TypeVar("_Python", bound=PythonJobBuilder)
_Parallel = TypeVar("_Parallel", bound=ParallelPythonJobBuilder)
_Config = TypeVar("_Config", bound=ConfigFileJobBuilder)

_Reader: TypeAlias = Callable[[str, Section], JobBuilder]


def read_toolkit(file: Section, name: str) -> JobBuilder:
    """Return a builder of the toolkit whose settings a file has, with these settings.

    Args:
        file: The job's properties.
        name: The job's name.

    Raises:
        ConfigurationError: There are no settings, or of several toolkits; or the name is not
            allowed.
        ConfigFileError: A setting is wrong.
    """
    given = [key for key in _READERS if key in file]
    if len(given) != 1:
        has = f"has {' and '.join(map(repr, given))}" if given else "has none"
        raise ConfigurationError(
            f"A job has the settings of one toolkit, and this one {has}: give one of "
            f"{', '.join(map(repr, sorted(_READERS)))}"
        )
    settings = file.section(given[0])
    assert settings is not None  # noqa: S101 - it was just found
    with settings.at():
        return _READERS[given[0]](name, settings)


def _script(job: _Script, settings: Section) -> _Script:
    script = settings.text("pythonScriptFilePath")
    if script is not None:
        with settings.at("pythonScriptFilePath"):
            job = job.script(script)
    interpreter = settings.text("pythonInterpreterPath")
    if interpreter is not None:
        with settings.at("pythonInterpreterPath"):
            job = job.python_interpreter(interpreter)
    return job


def _python(job: _Python, settings: Section) -> _Python:
    job = _script(job, settings)
    line = settings.text("commandLineArgs")
    return job if line is None else job.command_line_args(line)


def _parallel(job: _Parallel, settings: Section) -> _Parallel:
    job = _python(job, settings)
    count = settings.count("processCount")
    if count is None:
        return job
    with settings.at("processCount"):
        return job.processes(count)


def _config(job: _Config, settings: Section) -> _Config:
    job = _parallel(job, settings)
    path = settings.text("configFilePath")
    if path is None:
        return job
    with settings.at("configFilePath"):
        return job.config_file(path)


def _cntk(name: str, settings: Section) -> JobBuilder:
    language = settings.text("languageType")
    wanted = "BrainScript" if "configFilePath" in settings else "Python"
    if language is not None and language.lower() != wanted.lower():
        setting = "configFilePath" if wanted == "BrainScript" else "pythonScriptFilePath"
        problem = f"{language!r} is not the language of a job with {setting!r}: use {wanted!r}"
        raise settings.error("languageType", problem)
    return _config(CntkJobBuilder(name), settings)


def _pytorch(name: str, settings: Section) -> JobBuilder:
    job = _parallel(PyTorchJobBuilder(name), settings)
    backend = settings.text("communicationBackend")
    if backend is None:
        return job
    with settings.at("communicationBackend"):
        return job.communication_backend(_backend(backend))


def _backend(text: str) -> CommunicationBackend:
    lowered = text.lower()
    if lowered not in {"gloo", "nccl", "mpi", "tcp"}:
        raise ConfigurationError(f"{text!r} is none: use 'gloo', 'nccl', 'mpi' or 'tcp'")
    return lowered  # type: ignore[return-value]  # one of them


def _tensorflow(name: str, settings: Section) -> JobBuilder:
    job = _script(TensorFlowJobBuilder(name), settings)
    master = settings.text("masterCommandLineArgs")
    if master is not None:
        job = job.master_command_line_args(master)
    worker = settings.text("workerCommandLineArgs")
    if worker is not None:
        job = job.worker_command_line_args(worker)
    server = settings.text("parameterServerCommandLineArgs")
    if server is not None:
        job = job.parameter_server_command_line_args(server)
    workers = settings.count("workerCount")
    if workers is not None:
        with settings.at("workerCount"):
            job = job.workers(workers)
    servers = settings.count("parameterServerCount")
    if servers is None:
        return job
    with settings.at("parameterServerCount"):
        return job.parameter_servers(servers)


def _custom(name: str, settings: Section) -> JobBuilder:
    job, command = CustomJobBuilder(name), settings.text("commandLine")
    return job if command is None else job.command_line(command)


def _custom_mpi(name: str, settings: Section) -> JobBuilder:
    job = CustomMpiJobBuilder(name).command_line(settings.required("commandLine"))
    count = settings.count("processCount")
    if count is None:
        return job
    with settings.at("processCount"):
        return job.processes(count)


_READERS: Final[dict[str, _Reader]] = {
    "cntkSettings": _cntk,
    "tensorFlowSettings": _tensorflow,
    "pyTorchSettings": _pytorch,
    "caffeSettings": lambda name, settings: _config(CaffeJobBuilder(name), settings),
    "caffe2Settings": lambda name, settings: _python(Caffe2JobBuilder(name), settings),
    "chainerSettings": lambda name, settings: _parallel(ChainerJobBuilder(name), settings),
    "horovodSettings": lambda name, settings: _parallel(HorovodJobBuilder(name), settings),
    "customToolkitSettings": _custom,
    "customMpiSettings": _custom_mpi,
}
