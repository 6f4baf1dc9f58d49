"""What the builders of toolkits share that run a Python script."""

from typing import TypedDict

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.command_line import arguments_line, checked_arguments, checked_line
from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import filled_text


class PythonSettings(TypedDict):
    """What the models of all toolkits call the settings of a script in several processes."""

    python_script_file_path: str
    python_interpreter_path: str | None
    command_line_args: str | None
    process_count: int | None


@frozen
class ScriptJobBuilder(JobBuilder):
    """The base of builders whose job runs a Python script.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.
    """

    python_script: str | None = field(default=None, kw_only=True)
    interpreter: str | None = field(default=None, kw_only=True)

    def script(self, path: str) -> Self:
        """Set the Python script to run.

        Args:
            path: The script's path on the node; ``$NAME`` is expanded there.

        Raises:
            ConfigurationError: The path is empty.
        """
        return evolve(self, python_script=filled_text("The script's path", path))

    def python_interpreter(self, path: str) -> Self:
        """Set the Python interpreter; without it, the node's own runs the script.

        Args:
            path: The interpreter's path on the node.

        Raises:
            ConfigurationError: The path is empty.
        """
        return evolve(self, interpreter=filled_text("The Python interpreter's path", path))

    def _checked_script(self) -> str:
        if self.python_script is None:
            raise ConfigurationError(
                f"Job {self.name!r} has no script: add .script('$AZ_BATCHAI_INPUT_.../train.py')"
            )
        return self.python_script


@frozen
class PythonJobBuilder(ScriptJobBuilder):
    """The base of builders whose job runs a Python script with the same arguments everywhere.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.
    """

    arguments: tuple[str, ...] | str = field(default=(), kw_only=True)

    def args(self, *arguments: str) -> Self:
        """Set the script's arguments, replacing earlier ones.

        Args:
            arguments: One string for each argument; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: One is no string.
        """
        return evolve(self, arguments=checked_arguments(arguments))

    def command_line_args(self, line: str) -> Self:
        """Set the script's arguments as one line for the node's shell, replacing earlier ones.

        Args:
            line: The line, which the shell takes apart as it is; :meth:`args` needs no quoting.

        Raises:
            ConfigurationError: It is no string.
        """
        return evolve(self, arguments=checked_line(line))

    def _command_line_args(self) -> str | None:
        return arguments_line(self.arguments)


@frozen
class ParallelPythonJobBuilder(PythonJobBuilder):
    """The base of builders whose job runs a Python script in several processes.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.
    """

    process_count: int | None = field(default=None, kw_only=True)

    def processes(self, count: int) -> Self:
        """Run a number of processes, dealt out to the nodes; without it, one on each node.

        Args:
            count: How many processes on all nodes together, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        return evolve(self, process_count=checked_count("processes of a job", count, at_least=1))

    def _python_settings(self) -> PythonSettings:
        return PythonSettings(
            python_script_file_path=self._checked_script(),
            python_interpreter_path=self.interpreter,
            command_line_args=self._command_line_args(),
            process_count=self.process_count,
        )


@frozen
class ConfigFileJobBuilder(ParallelPythonJobBuilder):
    """The base of builders whose job runs a Python script or a configuration file.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.
    """

    config: str | None = field(default=None, kw_only=True)

    def config_file(self, path: str) -> Self:
        """Set the configuration file that the toolkit's own program runs, in place of a script.

        Args:
            path: The file's path on the node; ``$NAME`` is expanded there.

        Raises:
            ConfigurationError: The path is empty.
        """
        return evolve(self, config=filled_text("The configuration file's path", path))

    def _check_script_or_config(self) -> None:
        if (self.config is None) == (self.python_script is None):
            raise ConfigurationError(
                f"Job {self.name!r} needs either a script or a configuration file: add .script(...)"
                f" or .config_file(...), and not both"
            )
        if self.config is not None and self.interpreter is not None:
            raise ConfigurationError(
                f"Job {self.name!r} runs a configuration file, which takes no Python interpreter"
            )
