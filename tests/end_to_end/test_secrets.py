"""No secret is in anything that a session leaves or says."""

import base64
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, quote_plus

import pytest

from batchai_recipes import Connection, JobFailedError, TrainingSession

SECRETS = {
    "job secret": "job+secret/value=&1",
    "setup secret": "setup secret 'value' 2",
    "admin password": 'admin "password" 3',
    "registry password": "registry-pässword-4",
    "signature": "c2lnbmF0dXJlIG9mIGEgbGluaw==",
    "printed": "printed-by-the-job-5",
}
PROGRAM = """
import os, sys, urllib.parse, base64
secret = os.environ["TOKEN"]
encoded = base64.b64encode(b"x:" + secret.encode()).decode()
for form in (secret, urllib.parse.quote(secret), encoded):
    sys.stderr.write("it is " + form + " " + os.environ["PRINTED"] + "\\n")
metrics = os.path.join(os.environ["AZ_BATCHAI_STDOUTERR_DIR"], "metrics.jsonl")
with open(metrics, "w") as file:
    file.write('{"epoch": 1, "token": "%s"}\\n' % urllib.parse.quote(secret))
sys.exit(3)
"""


def forms(secret):
    """Return a secret in all the forms that are searched for."""
    raw = secret.encode()
    yield from {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * before + raw).decode().rstrip("=")
            yield whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


@pytest.fixture
def page():
    """A file of the web behind a signed link."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content")

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/data.csv?sv=1&sig={quote(SECRETS['signature'])}"
    server.shutdown()
    server.server_close()


def test_no_artefact_has_a_secret(recipe, state_dir, page, caplog):
    """Run folder, journal, log, representations, plan and report; nine secrets, ten forms each."""
    caplog.set_level(logging.DEBUG, "batchai_recipes")
    made, said, texts = recipe(PROGRAM), [], []
    staging = made.staging.from_url(page)
    cluster = made.cluster.admin_user("demo", password=SECRETS["admin password"]).setup_task(
        "true", secrets={"SETUP": SECRETS["setup secret"]}
    )
    job = (
        made.job.secret("TOKEN", SECRETS["job secret"])
        .secret("PRINTED", SECRETS["printed"])
        .container("nobody/none:1", username="u", password=SECRETS["registry password"])
    )
    with Connection.embedded(state_dir) as connection:
        settings = connection.settings
        session = TrainingSession(
            cluster, staging=staging, connection=connection, report=said.append
        )
        texts += [repr(one) for one in (connection, staging, cluster, job, session)]
        texts += [str(session.plan(job)), session._repr_html_()]
        with pytest.raises(JobFailedError) as raised, session:
            run = session.submit(job)
            texts += [repr(run), *(path.read_text() for path in connection.journals.iterdir())]
            run.wait()
    assert SECRETS["printed"] in str(raised.value)  # to the program; what is left has it not
    texts += [path.read_text() for path in session.run_folder.iterdir()]
    texts += [*said, caplog.text]
    known = [*SECRETS.values(), settings.client_secret, settings.storage.key]
    known += [settings.admin.password]
    whole = "\n".join(texts)

    assert "<secret>" in whole
    assert {path.name for path in session.run_folder.iterdir()} >= {
        *("asked.jsonl", "requests.jsonl", "events.jsonl", "staged.json", "versions.json"),
        *("metrics.jsonl", "result.json"),
    }
    found = [(secret, form) for secret in known for form in forms(secret) if form in whole]
    assert found == []
