"""What goes to a file share, and moving it there."""

from batchai_recipes.staging.file_share_staging import FileShareStaging, StagedFile
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.staging.staged_manifest import StagedContent, StagedManifest
from batchai_recipes.staging.storage_account import StorageAccount
from batchai_recipes.staging.web_file import StagedUrl

__all__ = [
    "FileShareStaging",
    "MountedPath",
    "StagedContent",
    "StagedFile",
    "StagedManifest",
    "StagedUrl",
    "StorageAccount",
]
