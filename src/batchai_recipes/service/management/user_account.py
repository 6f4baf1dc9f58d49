"""The administrator account of a machine, as clusters and file servers are given it."""

from typing import Final

from batchai_recipes.service.management.shapes import Property, Structure, Text

USER_ACCOUNT_SETTINGS: Final = Property(
    Structure(
        {
            "adminUserName": Property(Text(filled=True), required=True),
            "adminUserSshPublicKey": Property(Text()),
            "adminUserPassword": Property(Text(), secret=True),
        }
    ),
    required=True,
)
"""The property ``userAccountSettings``."""
