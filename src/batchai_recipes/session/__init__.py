"""Provisioning on enter, cleaning up on exit."""

from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.session_plan import PlannedRequest, SessionPlan
from batchai_recipes.session.training_session import TrainingSession

__all__ = ["ClusterState", "PlannedRequest", "SessionPlan", "TrainingSession"]
