"""Files that are wrong, and what is said of them."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    ConfigFileError,
    ConfigurationError,
    CustomJobBuilder,
    JobBuilder,
)

from .conftest import CLUSTER, JOB, with_share

VAULT = {
    "sourceVault": {"id": "/providers/Microsoft.KeyVault/vaults/v"},
    "secretUrl": "https://v.vault.azure.net/secrets/s",
}
WRONG_JOBS = {
    "a typo": ({"nodeCont": 2}, r"properties.nodeCont: no such property: did you .*'nodeCount'"),
    "upper and lower case": ({"nodecount": 2}, "did you mean 'nodeCount'"),
    "a typo inside": (
        {"customToolkitSettings": {"comandLine": "true"}},
        r"properties.customToolkitSettings.comandLine: .*'commandLine'",
    ),
    "nothing like it": ({"xyz": 2}, "no such property: there are 'caffe2Settings', 'caffe"),
    "a cluster's": ({"vmSize": "STANDARD_D1"}, "a property of a cluster: is this the cluster's"),
    "a property twice": (
        {"nodeCount": 1, "node_count": 1},
        "node_count: the same as 'nodeCount'",
    ),
    "a number as text": ({"nodeCount": "2"}, "nodeCount: must be a whole number; it is a text"),
    "a truth value": ({"nodeCount": True}, "must be a whole number; it is true or false"),
    "a text as number": ({"stdOutErrPathPrefix": 1}, 'must be a text, written as "..."; it is a n'),
    "a list for an object": ({"jobPreparation": []}, "must be an object, .* it is a list"),
    "an object for a list": ({"secrets": {}}, "must be a list, .* it is an object"),
    "null in a list": ({"secrets": [None]}, r"secrets\[0\]: must be an object, .* it is null"),
    "too few nodes": ({"nodeCount": 0}, r"properties.nodeCount: The number of nodes of a job is"),
    "another priority": ({"schedulingPriority": "urgent"}, "'urgent' is no priority"),
    "a missing property": ({"inputDirectories": [{"id": "A"}]}, r"\[0\].path: missing"),
    "an id twice": (
        {"inputDirectories": [{"id": "A", "path": "/a"}, {"id": "A", "path": "/b"}]},
        r"inputDirectories\[1\]: Input directory 'A' is declared twice",
    ),
    "a variable twice": (
        {"environmentVariables": [{"name": "A", "value": ""}] * 2},
        r"environmentVariables\[1\].name: 'A' is set twice",
    ),
    "a reserved variable": (
        {"environmentVariables": [{"name": "AZ_BATCHAI_X", "value": ""}]},
        "environmentVariables: Names beginning with AZ_BATCH are the service's own",
    ),
    "a secret twice": ({"secrets": [{"name": "A", "value": "1"}] * 2}, "'A' is set twice"),
    "a secret without value": ({"secrets": [{"name": "A"}]}, r"secrets\[0\].value: missing"),
    "a secret in two ways": (
        {"secrets": [{"name": "A", "value": "1", "valueSecretReference": VAULT}]},
        "given beside 'valueSecretReference'",
    ),
    "no vault": (
        {
            "secrets": [
                {"name": "A", "valueSecretReference": {**VAULT, "secretUrl": "http://nowhere"}}
            ]
        },
        "'http://nowhere' is no URL of a secret",
    ),
    "no duration": ({"constraints": {"maxWallClockTime": "12 hours"}}, "write it as ISO"),
    "months": ({"constraints": {"maxWallClockTime": "P1M"}}, "count days, as in 'P30D'"),
    "an endless duration": ({"constraints": {"maxWallClockTime": "P" + "9" * 30 + "D"}}, "ISO 86"),
    "half a registry user": (
        {
            "containerSettings": {
                "imageSourceRegistry": {"image": "i", "credentials": {"username": "u"}}
            }
        },
        "containerSettings: Give both username and password",
    ),
    "no toolkit": ({"customToolkitSettings": None}, "this one has none: give one of 'caffe2"),
    "two toolkits": (
        {"customMpiSettings": {"commandLine": "true"}},
        "has 'customToolkitSettings' and 'customMpiSettings'",
    ),
    "another backend": (
        {
            "customToolkitSettings": None,
            "pyTorchSettings": {"pythonScriptFilePath": "a", "communicationBackend": "udp"},
        },
        "communicationBackend: 'udp' is none: use 'gloo'",
    ),
    "another language": (
        {
            "customToolkitSettings": None,
            "cntkSettings": {"pythonScriptFilePath": "a", "languageType": "BrainScript"},
        },
        "a job with 'pythonScriptFilePath': use 'Python'",
    ),
    "no processes": (
        {
            "customToolkitSettings": None,
            "customMpiSettings": {"commandLine": "a", "processCount": 0},
        },
        "customMpiSettings.processCount: The number of processes",
    ),
}
WRONG_SHARES = {
    "no share": ({"azureFileUrl": "https://a.file.core.windows.net"}, "no share's name at the end"),
    "no URL": ({"azureFileUrl": "https://[a/b"}, "azureFileUrl: no URL"),
    "no key": ({"accountName": "elsewhere"}, "credentials: no key of the .*'elsewhere'"),
    "a place outside": ({"relativeMountPath": "../up"}, "is not a relative path for a mount"),
    "another mode": ({"fileMode": "rwx"}, "'rwx' is no mode"),
}


@pytest.mark.parametrize(("changed", "problem"), WRONG_JOBS.values(), ids=list(WRONG_JOBS))
def test_wrong_jobs_are_refused_by_place(read, changed, problem):
    """With the file, the property and what to do."""
    with pytest.raises(ConfigFileError, match=rf"JobBuilder.json: .*{problem}"):
        read({**JOB, **changed})


@pytest.mark.parametrize(("changed", "problem"), WRONG_SHARES.values(), ids=list(WRONG_SHARES))
def test_wrong_mounts_are_refused_by_place(read, changed, problem):
    """With their number in the list."""
    with pytest.raises(ConfigFileError, match=rf"azureFileShares\[0\].*{problem}"):
        read(with_share(**changed))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"vmPriority": "cheap"}, "vmPriority: 'cheap' is no priority: use 'dedicated'"),
        ({"scaleSettings": {}}, "scaleSettings: either 'manual' or 'autoScale' is needed"),
        (
            {"scaleSettings": {"autoScale": {"minimumNodeCount": 2, "maximumNodeCount": 1}}},
            "scaleSettings.autoScale: The minimum of 2 nodes is more",
        ),
        (
            {"scaleSettings": {"manual": {"targetNodeCount": 1, "nodeDeallocationOption": "x"}}},
            "'x' is no node deallocation option",
        ),
        (
            {"userAccountSettings": {"adminUserName": "", "adminUserPassword": "b"}},
            "userAccountSettings: The admin user's name is empty",
        ),
        ({"userAccountSettings": {"adminUserPassword": "a"}}, "adminUserName: missing"),
        ({"subnet": {"id": "/x"}}, "subnet.id: '/x' is no resource id of a subnet"),
        ({"nodeCount": 1}, "a property of a job: is this the job's file"),
    ],
)
def test_wrong_clusters_are_refused_by_place(read, changed, problem):
    """With the property and what to do."""
    with pytest.raises(ConfigFileError, match=problem):
        read({**CLUSTER, **changed}, ClusterBuilder)


WRONG_FILES = {
    "not there": (None, "cannot be read: No such file"),
    "empty": (b"", "no JSON: Expecting value in line 1, column 1"),
    "a trailing comma": (b'{\n"properties": {},\n}', "no JSON: .* line [23]"),
    "no object": (b"[]", "must hold one object"),
    "no text": (b"\xff\xfe", "no text in UTF-8"),
    "a key twice": (b'{"properties": {"nodeCount": 1, "nodeCount": 2}}', "nodeCount: twice"),
    "no number": (b'{"properties": {"nodeCount": NaN}}', "NaN is no number"),
    "deep": (b'{"properties":' * 100_000, "cannot be parsed"),
    "a huge number": (b'{"nodeCount": ' + b"9" * 5000 + b"}", "cannot be parsed"),
    "beside": (b'{"properties": {}, "nodeCount": 1}', "nodeCount: beside 'properties'"),
    "properties of no object": (b'{"properties": 1}', "properties: must be an object"),
}


@pytest.mark.parametrize(("content", "problem"), WRONG_FILES.values(), ids=list(WRONG_FILES))
def test_files_that_are_none_are_refused(tmp_path, content, problem):
    """With what is wrong, as every mistake of a user."""
    path = tmp_path / "job.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"job.json: .*{problem}"):
        JobBuilder.from_file(path)


def test_a_secret_of_the_wrong_type_is_not_shown(read):
    """Nor is anything else of a value whose type is wrong."""
    with pytest.raises(ConfigFileError) as raised:
        read({**JOB, "secrets": [{"name": "A", "value": ["S3CR3T"]}]})
    assert "S3CR3T" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused(tmp_path_factory, data):
    """Never is it another error than one that names the place."""
    path = tmp_path_factory.mktemp("any") / "job.json"
    properties = with_share()
    key = data.draw(st.sampled_from(sorted(properties)))
    inner = properties[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        properties[key] = {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(JSON)}
    else:
        properties[key] = data.draw(JSON)
    path.write_text(json.dumps({"properties": properties}))
    with suppress(ConfigFileError):
        assert isinstance(JobBuilder.from_file(path), CustomJobBuilder)
