"""Provisioning on enter, cleaning up on exit."""

from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.training_session import TrainingSession

__all__ = ["ClusterState", "TrainingSession"]
