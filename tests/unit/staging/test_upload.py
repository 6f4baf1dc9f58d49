"""Moving a staging to its share, on the level of HTTP."""

import pytest

from batchai_recipes import FileShareStaging, StagingError
from batchai_recipes.staging.upload import create_share, upload


def test_directories_come_before_files_and_parents_before_children(endpoint, connection, tmp_path):
    """Azure Files makes no missing parents."""
    (tmp_path / "train.py").write_text("print()")
    endpoint.raw("PUT", ".*", (201, {"ETag": '"1"', "Last-Modified": "now"}, ""))
    staging = FileShareStaging("data").directory("x/y").upload(tmp_path / "train.py")
    said = []

    upload(connection.files, staging, said.append)

    assert endpoint.made("PUT") == ["x", "y", "train.py", "train.py"]
    assert said == ["Uploaded x/y/train.py (7 bytes)"]


def test_a_share_that_exists_is_told_from_a_new_one(endpoint, connection):
    """What was there before is not the session's to delete."""
    exists = "<Error><Code>ShareAlreadyExists</Code><Message>It exists</Message></Error>"
    endpoint.raw(
        "PUT",
        "/data",
        (201, {}, ""),
        (409, {"x-ms-error-code": "ShareAlreadyExists"}, exists),
    )

    assert [create_share(connection.files, "data") for _ in range(2)] == [True, False]


def test_a_refused_signature_says_what_to_check(endpoint, connection):
    """A wrong key is the usual reason."""
    endpoint.raw("PUT", "/data", (403, {"x-ms-error-code": "AuthenticationFailed"}, ""))

    with pytest.raises(StagingError, match=r"create file share data.*check the storage account"):
        create_share(connection.files, "data")


def test_a_file_that_went_away_is_named(endpoint, connection, tmp_path):
    """It was there when the staging was described."""
    gone = tmp_path / "train.py"
    gone.write_text("print()")
    staging = FileShareStaging("data").upload(gone)
    gone.unlink()

    with pytest.raises(StagingError, match=r"Cannot upload .*train\.py: No such file"):
        upload(connection.files, staging, lambda _: None)
