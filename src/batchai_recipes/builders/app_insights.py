"""Where a cluster's nodes send their performance counters."""

from typing import TYPE_CHECKING

from attrs import field, frozen

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import checked_text, filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import PerformanceCountersSettings


@frozen
class AppInsights:
    """An Application Insights component.

    Args:
        component_id: Its resource id.
        instrumentation_key: Its key, or where to read it; a key is never shown.
    """

    component_id: str
    instrumentation_key: str | KeyVaultSecret = field(repr=False)

    @classmethod
    def checked(cls, component_id: str, key: str | KeyVaultSecret) -> "AppInsights":
        """Return the component if it is named in full.

        Args:
            component_id: Its resource id.
            key: Its key, or where to read it.

        Raises:
            ConfigurationError: The id is none of a component, or the key is empty.

        Example:
            >>> component = "/subscriptions/s/providers/Microsoft.Insights/components/demo"
            >>> AppInsights.checked(component, "hidden").component_id == component
            True
        """
        if "/components/" not in checked_text("The component's resource id", component_id):
            raise ConfigurationError(
                f"{component_id!r} is no resource id of an Application Insights component: it ends "
                f"in '/providers/Microsoft.Insights/components/NAME'"
            )
        if not isinstance(key, KeyVaultSecret):
            filled_text("The instrumentation key of Application Insights", key)
        return cls(component_id, key)

    def model(self) -> "PerformanceCountersSettings":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        reference = models.AppInsightsReference(component=models.ResourceId(id=self.component_id))
        if isinstance(self.instrumentation_key, KeyVaultSecret):
            reference.instrumentation_key_secret_reference = self.instrumentation_key.reference()
        else:
            reference.instrumentation_key = self.instrumentation_key
        return models.PerformanceCountersSettings(app_insights_reference=reference)
