"""Experiments."""


def test_an_experiment_is_made_without_a_body(api, plane, workspace: str) -> None:
    """PUT answers 200 with the experiment; again, with the original times."""
    path = f"{workspace}/experiments/e"
    first = api("PUT", path)
    assert first.status_code == 200
    assert first.json()["id"] == f"/subscriptions/{plane.subscription}{path}"
    assert first.json()["type"] == "Microsoft.BatchAI/workspaces/experiments"
    assert "location" not in first.json()
    second = api("PUT", path)
    assert (second.status_code, second.json()) == (200, first.json())


def test_lists_and_pages(api, workspace: str) -> None:
    """Experiments are listed by name, maxresults at a time."""
    for name in ("b", "a", "c"):
        api("PUT", f"{workspace}/experiments/{name}")
    first = api("GET", f"{workspace}/experiments", params={"maxresults": 2}).json()
    assert [entry["name"] for entry in first["value"]] == ["a", "b"]
    second = api.session.get(first["nextLink"], timeout=30).json()
    assert [entry["name"] for entry in second["value"]] == ["c"]
    assert "nextLink" not in second


def test_deleting(api, experiment: str) -> None:
    """Gone at the end of the operation; deleting what is gone succeeds."""
    assert api("DELETE", experiment).status_code == 202
    answer = api("GET", experiment)
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        {
            "code": "ExperimentNotFound",
            "message": "The specified experiment experiment is not found",
        },
    )
    assert api("DELETE", experiment).status_code == 204


def test_a_typo_is_answered_with_the_nearest_name(api, experiment: str) -> None:
    """The message ends in a question."""
    message = api("GET", experiment[:-1]).json()["error"]["message"]
    assert message.endswith("is not found. Did you mean 'experiment'?")
