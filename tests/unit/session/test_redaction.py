"""Replacing secrets, however they are written."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    FileShareStaging,
    StorageAccount,
)
from batchai_recipes.session.redaction import HIDDEN, Redaction, secrets_in

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SECRETS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=8)


@given(secret=SECRETS, before=TEXTS, after=TEXTS)
@example(secret="a+b/c==&d%e", before="x", after="y")
def test_no_form_of_a_secret_remains(secret, before, after):
    """Plain, URL-encoded once and twice, JSON-escaped, in base64 at any place of a longer text."""
    redaction = Redaction([secret])
    raw = (before + secret + after).encode()
    forms = [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ]
    encoded = [base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]

    for form in forms:
        assert redaction.text(f"[{form}]") == f"[{HIDDEN}]"
    for form in encoded:
        assert HIDDEN in redaction.text(form)


@given(text=TEXTS)
def test_other_texts_stay(text):
    """Redaction without secrets is nothing."""
    assert Redaction().text(text) == text


def test_a_short_secret_is_replaced_as_a_word_only():
    """Else every text that has the letter would be spoilt."""
    assert Redaction(["1"]).text("level 1, 10 epochs") == f"level {HIDDEN}, 10 epochs"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://a/b?sv=1&sig=ab%2Bc%3D&se=2", f"https://a/b?sv=1&sig={HIDDEN}&se=2"),
        ("b%3Fsv%3D1%26sig%3Dab", f"b%3Fsv%3D1%26sig%3D{HIDDEN}"),
        ("AccountName=a;AccountKey=a2V5==;X=y", f"AccountName=a;AccountKey={HIDDEN};X=y"),
        ("Authorization: Bearer ey.J0.x-_", f"Authorization: Bearer {HIDDEN}"),
    ],
)
def test_signatures_keys_and_tokens_need_not_be_known(text, clean):
    """They are made on the way."""
    assert Redaction().text(text) == clean


def test_numbers_of_a_document_stay_and_its_keys_are_looked_at():
    """What is written as JSON stays JSON."""
    document = {"hidden-one": [1, True, None, "a hidden-one"]}

    assert Redaction(["hidden-one"]).document(document) == {HIDDEN: [1, True, None, f"a {HIDDEN}"]}


def test_every_secret_of_a_builder_is_found(tmp_path):
    """By what its representation leaves out; a new secret field is found without a change here."""
    account = StorageAccount("demo", "account-key", "https://files.test")
    cluster = (
        ClusterBuilder("c")
        .admin_user("me", password="admin-password")
        .setup_task("true", secrets={"SETUP": "setup-secret"})
        .app_insights("/components/x", instrumentation_key="insights-key")
    )
    job = (
        CntkJobBuilder("j")
        .secret("TOKEN", "job-secret")
        .container("i:1", server_url="r", username="u", password="registry-password")
    )
    staging = FileShareStaging("data").from_url("https://me:url-password@h/f?sig=url-signature")
    found = set(secrets_in([account, cluster, job, staging]))

    assert {
        *("account-key", "admin-password", "setup-secret", "insights-key", "job-secret"),
        *("registry-password", "url-password", "url-signature"),
    } <= found
    assert not {"demo", "me", "TOKEN", "SETUP", "u"} & found
