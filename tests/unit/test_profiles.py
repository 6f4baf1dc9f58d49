"""Profiles in a TOML file."""

import warnings

import pytest

from batchai_recipes import ConfigurationError, Connection
from batchai_recipes.profiles import (
    ExposedSecretWarning,
    configured,
    profile_file,
    read_profile,
)

LAB = """
default = "lab"

[profiles.lab]
endpoint = "https://batchai.test/"
subscription_id = "sub"
tenant_id = "t"
client_id = "c"
client_secret = { env = "LAB_SECRET" }
ca_file = "ca.pem"
location = "northeurope"
resource_group = "group"
storage = { account = "demo", key = { env = "LAB_KEY" } }

[profiles.lab.admin]
user = "demo"
ssh_public_key = "ssh-rsa AAAA"

[profiles.login]
endpoint = "https://batchai.test"
subscription_id = "other"
credential = "default"
storage.connection_string = { env = "LAB_STORAGE" }

[profiles.here]
embedded = true
state_dir = "state"
"""
VARIABLES = {
    "LAB_SECRET": "s3cret",
    "LAB_KEY": "a2V5",
    "LAB_STORAGE": "AccountName=other;AccountKey=a2V5;EndpointSuffix=core.test",
}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of three profiles, which the environment names."""
    path = tmp_path / "profiles.toml"
    path.write_text(LAB)
    monkeypatch.setenv("BATCHAI_RECIPES_PROFILE_FILE", str(path))
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for name in ("BATCHAI_ENDPOINT", "BATCHAI_RECIPES_ENV_FILE", "BATCHAI_RECIPES_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_the_default_profile_is_read(file):
    """Its secrets from the environment, its paths from the file's own folder."""
    profile = read_profile()
    settings = profile.settings

    assert settings is not None
    assert (profile.name, settings.endpoint, settings.client_secret) == (
        *("lab", "https://batchai.test", "s3cret"),
    )
    assert (settings.ca_file, settings.location) == (file.parent / "ca.pem", "northeurope")
    assert settings.resource_group == "group"
    assert settings.storage.files_endpoint == "https://demo.file.core.windows.net"
    assert settings.admin is not None
    assert "s3cret" not in repr(profile)


def test_profiles_are_chosen_by_name(file, monkeypatch):
    """The call's goes before the variable's, that before the file's."""
    monkeypatch.setenv("BATCHAI_RECIPES_PROFILE", "here")

    assert read_profile().name == "here"
    assert read_profile().state_dir == file.parent / "state"
    login = read_profile("login").settings
    assert login is not None
    assert (login.credential, login.client_id, login.storage.name) == ("default", None, "other")
    assert login.storage.files_endpoint == "https://other.file.core.test"


def test_the_only_profile_needs_no_name(tmp_path):
    """There is nothing to choose."""
    path = tmp_path / "p.toml"
    path.write_text("[profiles.x]\nembedded = true")

    assert read_profile(path=path).name == "x"


def test_what_is_configured_is_chosen_in_order(file, tmp_path, monkeypatch):
    """File of settings, named profile, variables, default profile, nothing."""
    complete = {
        "BATCHAI_ENDPOINT": "https://variables.test",
        **dict.fromkeys(("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), "x"),
        **dict.fromkeys(("AZURE_SUBSCRIPTION_ID", "AZURE_STORAGE_ACCOUNT"), "x"),
        "AZURE_STORAGE_KEY": "a2V5",
    }
    env_file = tmp_path / "env"
    text = "".join(f"{name}={value}\n" for name, value in complete.items())
    env_file.write_text(text.replace("variables", "env-file"))

    def endpoint(**more):
        found = configured({**VARIABLES, "BATCHAI_RECIPES_PROFILE_FILE": str(file), **more})
        return found.settings.endpoint if found and found.settings else found

    assert endpoint() == "https://batchai.test"
    assert endpoint(**complete) == "https://variables.test"
    assert endpoint(**complete, BATCHAI_RECIPES_PROFILE="lab") == "https://batchai.test"
    assert endpoint(BATCHAI_RECIPES_ENV_FILE=str(env_file)) == "https://env-file.test"
    file.write_text(LAB.replace('default = "lab"', ""))
    assert endpoint() is None
    file.unlink()
    assert endpoint() is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "endpoint =",
            "endpont =",
            "profile 'lab': unknown key 'endpont': did you mean 'endpoint'",
        ),
        ("account =", "acount =", "storage: unknown key 'acount': did you mean 'account'"),
        ("default =", "defautl =", "unknown key 'defautl': did you mean 'default'"),
        ('default = "lab"', 'default = "lba"', "no profile 'lba': did you mean 'lab'"),
        ('client_id = "c"', "", "is incomplete: client_id is missing"),
        ('client_id = "c"', "client_id = 7", "client_id is no text"),
        ('client_id = "c"', 'client_id = ""', "client_id is no text"),
        ("LAB_SECRET", "NOT_SET", "environment variable NOT_SET, which is not set"),
        ("https://batchai.test/", "http://batchai.test", "begins with https://"),
        ("[profiles.lab]", "[profiles.lab", "no TOML"),
        ("[profiles.lab.admin]", "[profiles.lab.admn]", "did you mean 'admin'"),
        ('location = "northeurope"', 'credential = "defualt"', "did you mean 'default'"),
        ('location = "northeurope"', "embedded = 1", "embedded is either"),
        ('location = "northeurope"', "embedded = true", "leave out endpoint"),
        ('location = "northeurope"', 'state_dir = "x"', "needs embedded = true"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest(file, old, new, message):
    """By file, profile and key, never by a secret value."""
    text = LAB.replace("[profiles.lab.admin]", "[profiles.lab.admin]", 1)
    file.write_text(text.replace(old, new, 1))

    with pytest.raises(ConfigurationError, match=message.replace("[", r"\[")):
        read_profile()


def test_a_profile_that_is_not_there_is_named_with_the_nearest(file):
    """And a file that is not there with how to name another."""
    with pytest.raises(ConfigurationError, match="no profile 'logn': did you mean 'login'"):
        read_profile("logn")
    with pytest.raises(ConfigurationError, match="BATCHAI_RECIPES_PROFILE_FILE"):
        read_profile(path=file.parent / "none.toml")
    file.write_text(LAB.replace('default = "lab"', ""))
    with pytest.raises(ConfigurationError, match="no default profile"):
        read_profile()


def test_a_secret_that_others_can_read_is_warned_of(file):
    """Once written into the file; a reference is none."""
    file.chmod(0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_profile()
    file.write_text(LAB.replace('{ env = "LAB_KEY" }', '"a2V5"'))
    with pytest.warns(ExposedSecretWarning, match="profile lab.*chmod 600") as caught:
        read_profile()
    assert "a2V5" not in str(caught[0].message)
    file.chmod(0o600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_profile()


def test_the_place_of_profiles_is_the_users_own_for_configuration():
    """Unless a variable names another."""
    assert profile_file({}).parts[-2:] == ("batchai-recipes", "profiles.toml")


def test_a_connection_is_made_from_a_profile(file):
    """Whose certificate authority has to be there."""
    with pytest.raises(ConfigurationError, match=r"ca\.pem is not there"):
        Connection.from_profile()
    (file.parent / "ca.pem").write_text("")
    with Connection.from_profile("lab") as connection:
        assert connection.settings.subscription_id == "sub"
    with Connection.default() as connection:
        assert connection.settings.subscription_id == "sub"
    with pytest.raises(ConfigurationError, match="no other credential"):
        Connection.from_profile("here", credential="default")
