"""Toolkits that run a script on each node, or a program of their own."""

import pytest

from batchai_recipes.service.toolkits.caffe import caffe
from batchai_recipes.service.toolkits.caffe2 import caffe2
from batchai_recipes.service.toolkits.chainer import chainer
from batchai_recipes.service.toolkits.toolkit import MPIRUN, PROCESS, RANK, ToolkitError

PYTHON = "/opt/venv/bin/python"


def test_caffe2_runs_once_on_each_node(toolkit_job):
    """Each process is one shard."""
    made = caffe2(toolkit_job(nodes=2, pythonScriptFilePath="t.py", commandLineArgs="-v"))
    assert [(one.node_index, one.index, one.role) for one in made] == [(0, 0, RANK), (1, 1, RANK)]
    assert {one.command_line for one in made} == {f'exec "{PYTHON}" "t.py" -v'}


def test_caffe_trains_a_solver(toolkit_job):
    """With the program caffe, or says that it is missing."""
    (made,) = caffe(toolkit_job(configFilePath="$S/lenet.prototxt", commandLineArgs="--gpu=all"))
    assert made.command_line.startswith("command -v caffe >/dev/null || {")
    assert made.command_line.endswith('exec caffe train --solver="$S/lenet.prototxt" --gpu=all')


def test_caffe_needs_a_script_or_a_solver(toolkit_job):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match="configFilePath is missing"):
        caffe(toolkit_job())


@pytest.mark.parametrize("toolkit", [caffe, chainer])
def test_one_process_needs_no_mpi_and_several_do(toolkit_job, toolkit):
    """As programs do that run on one node alone."""
    (alone,) = toolkit(toolkit_job(pythonScriptFilePath="t.py"))
    (several,) = toolkit(toolkit_job(pythonScriptFilePath="t.py", nodes=2))
    assert (alone.role, several.role) == (PROCESS, MPIRUN)
    assert alone.command_line == f'exec "{PYTHON}" "t.py"'
