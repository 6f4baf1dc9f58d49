"""Expansion of ``$NAME``, by the service and by the shell."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.variables import (
    UndefinedVariableError,
    check_references,
    expand_known,
    expand_path,
    in_double_quotes,
)

KNOWN = {"AZ_BATCHAI_INPUT_DATA": "/in", "A": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/x", "1/x"),
        ("${A}x", "1x"),
        ("$AB", "$AB"),
        ("100$", "100$"),
        ("$5", "$5"),
        ("${A", "${A"),
        ("$$A", "$1"),
    ],
)
def test_known_names_are_replaced_and_nothing_else(text, expected):
    """What is no reference to a known variable stays."""
    assert expected == expand_known(text, KNOWN)


def test_a_typo_in_a_path_is_answered_with_the_nearest_name():
    """The error names the variable that was probably meant."""
    with pytest.raises(UndefinedVariableError, match=r"did you mean \$AZ_BATCHAI_INPUT_DATA\?"):
        expand_path("$AZ_BATCHAI_INPUT_DATE/x", KNOWN)


def test_a_command_line_may_name_variables_of_the_shell():
    """Only the service's own names are checked in command lines."""
    check_references("for i in 1 2; do echo $i; done", KNOWN)
    with pytest.raises(UndefinedVariableError, match="AZ_BATCHAI_OUTPUT_MODEL"):
        check_references("cp a $AZ_BATCHAI_OUTPUT_MODEL", KNOWN)


PIECES = [
    "$A",
    "${A}",
    "$AZ_BATCHAI_INPUT_DATA",
    " ",
    "'",
    '"',
    "`",
    "\\",
    "$",
    "$(",
    ")",
    "*",
    ";",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_quoted_text_is_one_word_for_the_shell_with_its_variables_replaced(text):
    """The shell makes of the quoted text what the service makes of the plain one."""
    command = f"printf '<%s>' {in_double_quotes(text)}"
    shell = subprocess.run(
        ["/bin/sh", "-c", command], env=KNOWN, capture_output=True, text=True, check=True
    )
    assert f"<{expand_known(text, KNOWN)}>" == shell.stdout
