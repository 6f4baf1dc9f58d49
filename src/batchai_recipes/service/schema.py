"""The schema of the store, as the steps that lead from an empty file to the present one.

A step, once released, is never changed; a later release appends its own.
"""

from typing import Final

_FOUNDATION: Final = (
    # A service principal that may ask for tokens; the secret is kept as a salted scrypt hash.
    """
    CREATE TABLE principals (
        client_id   TEXT PRIMARY KEY,
        tenant_id   TEXT NOT NULL,
        salt        BLOB NOT NULL,
        secret_hash BLOB NOT NULL
    )
    """,
    # A storage account with its two keys (base64).
    """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY,
        key1 TEXT NOT NULL,
        key2 TEXT NOT NULL
    )
    """,
    # Everything that has an Azure resource id. `key` is the id in lower case, since ids are
    # matched without regard to case; `properties` is what a GET returns and never holds a secret.
    """
    CREATE TABLE resources (
        key                TEXT PRIMARY KEY,
        parent_key         TEXT REFERENCES resources (key) ON DELETE CASCADE,
        kind               TEXT NOT NULL,
        id                 TEXT NOT NULL,
        name               TEXT NOT NULL,
        location           TEXT,
        tags               TEXT,
        properties         TEXT NOT NULL,
        secrets            TEXT NOT NULL DEFAULT '{}',
        provisioning_state TEXT NOT NULL,
        provisioned_at     TEXT NOT NULL,
        created_at         TEXT NOT NULL,
        modified_at        TEXT NOT NULL,
        etag               TEXT NOT NULL
    )
    """,
    "CREATE INDEX resources_by_parent ON resources (parent_key, kind, name)",
    # What the scheduler knows of a cluster, beside its resource.
    """
    CREATE TABLE clusters (
        key                 TEXT PRIMARY KEY REFERENCES resources (key) ON DELETE CASCADE,
        uid                 TEXT NOT NULL UNIQUE,
        target_nodes        INTEGER NOT NULL,
        allocation_state    TEXT NOT NULL,
        allocation_state_at TEXT NOT NULL,
        errors              TEXT NOT NULL DEFAULT '[]'
    )
    """,
    """
    CREATE TABLE nodes (
        id          TEXT PRIMARY KEY,
        cluster_key TEXT NOT NULL REFERENCES clusters (key) ON DELETE CASCADE,
        state       TEXT NOT NULL,
        state_at    TEXT NOT NULL,
        error       TEXT
    )
    """,
    "CREATE INDEX nodes_by_cluster ON nodes (cluster_key, state)",
    # What the scheduler knows of a job, beside its resource. `sequence` is the order of arrival.
    # `output_locations` says where in which share each output directory lies, also when the cluster
    # that mounted the share is gone.
    """
    CREATE TABLE jobs (
        sequence                 INTEGER PRIMARY KEY AUTOINCREMENT,
        key                      TEXT NOT NULL UNIQUE REFERENCES resources (key) ON DELETE CASCADE,
        uid                      TEXT NOT NULL UNIQUE,
        cluster_key              TEXT NOT NULL,
        priority                 INTEGER NOT NULL,
        node_count               INTEGER NOT NULL,
        execution_state          TEXT NOT NULL,
        execution_state_at       TEXT NOT NULL,
        started_at               TEXT,
        ended_at                 TEXT,
        exit_code                INTEGER,
        errors                   TEXT NOT NULL DEFAULT '[]',
        termination_requested_at TEXT,
        output_locations         TEXT NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE INDEX jobs_by_state ON jobs (execution_state, cluster_key)",
    """
    CREATE TABLE job_nodes (
        job_key    TEXT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
        node_id    TEXT NOT NULL,
        task_index INTEGER NOT NULL,
        PRIMARY KEY (job_key, task_index)
    )
    """,
    # Long-running operations. They outlive the resource that they were about.
    """
    CREATE TABLE operations (
        id           TEXT PRIMARY KEY,
        subscription TEXT NOT NULL,
        location     TEXT NOT NULL,
        resource_key TEXT NOT NULL,
        resource_id  TEXT NOT NULL,
        action       TEXT NOT NULL,
        status       TEXT NOT NULL,
        started_at   TEXT NOT NULL,
        ended_at     TEXT,
        error        TEXT
    )
    """,
    "CREATE INDEX operations_by_resource ON operations (resource_key, status)",
    """
    CREATE TABLE shares (
        account     TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
        name        TEXT NOT NULL,
        quota_gib   INTEGER NOT NULL,
        metadata    TEXT NOT NULL DEFAULT '{}',
        etag        TEXT NOT NULL,
        created_at  TEXT NOT NULL,
        modified_at TEXT NOT NULL,
        PRIMARY KEY (account, name)
    )
    """,
    # What a plain directory on disk cannot hold of a file or directory of a share. An entry may be
    # missing: a job that writes a file through its mount makes none. `path` is case-folded. `inode`
    # tells when a job has put another file in its place, `changed_ns` when the entry last changed.
    """
    CREATE TABLE file_entries (
        account    TEXT NOT NULL,
        share      TEXT NOT NULL,
        path       TEXT NOT NULL,
        metadata   TEXT NOT NULL DEFAULT '{}',
        headers    TEXT NOT NULL DEFAULT '{}',
        inode      TEXT NOT NULL,
        changed_ns INTEGER NOT NULL,
        PRIMARY KEY (account, share, path),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    )
    """,
)

_STORAGE_ACCOUNTS: Final = (
    # A storage account that a client made is a resource as well; it goes with its resource, and its
    # resource with the group.
    """
    CREATE TRIGGER storage_account_deleted AFTER DELETE ON resources
    WHEN OLD.kind = 'storageAccount'
    BEGIN
        DELETE FROM accounts WHERE name = OLD.name;
    END
    """,
)

# A lease is a JSON object, empty for none; see `files/leases.py`. Access policies are a JSON
# array.
_FILE_SERVICE_WIDENED: Final = (
    "ALTER TABLE file_entries ADD COLUMN lease TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE shares ADD COLUMN lease TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE shares ADD COLUMN policies TEXT NOT NULL DEFAULT '[]'",
    # Security descriptors (SDDL) of a share, which nothing here enforces.
    """
    CREATE TABLE share_permissions (
        account    TEXT NOT NULL,
        share      TEXT NOT NULL,
        key        TEXT NOT NULL,
        permission TEXT NOT NULL,
        PRIMARY KEY (account, share, key),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    )
    """,
)

# A service that holds a hundred thousand jobs answers like one that holds a hundred: each page of a
# list, and whatever the scheduler looks for, is found by an index.
_MANY_JOBS: Final = (
    "CREATE INDEX resources_by_place ON resources (parent_key, kind, key)",
    "CREATE INDEX resources_by_kind ON resources (kind, key)",
    "DROP INDEX resources_by_parent",
    "CREATE INDEX resources_deleting ON resources (key) WHERE provisioning_state = 'deleting'",
    """
    CREATE INDEX operations_in_progress ON operations (action, resource_key)
    WHERE status = 'InProgress'
    """,
)

_NAMED_PRINCIPALS: Final = (
    "ALTER TABLE principals ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE principals ADD COLUMN created_at TEXT",
    "ALTER TABLE principals ADD COLUMN rotated_at TEXT",
)

_SHARE_SNAPSHOTS: Final = (
    # A share as it was at the time that names the snapshot; see `files/snapshots.py`.
    """
    CREATE TABLE share_snapshots (
        account     TEXT NOT NULL,
        share       TEXT NOT NULL,
        stamp       TEXT NOT NULL,
        quota_gib   INTEGER NOT NULL,
        metadata    TEXT NOT NULL,
        etag        TEXT NOT NULL,
        modified_at TEXT NOT NULL,
        PRIMARY KEY (account, share, stamp),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    )
    """,
    # What was recorded of its files and directories.
    """
    CREATE TABLE snapshot_entries (
        account    TEXT NOT NULL,
        share      TEXT NOT NULL,
        stamp      TEXT NOT NULL,
        path       TEXT NOT NULL,
        metadata   TEXT NOT NULL,
        headers    TEXT NOT NULL,
        inode      TEXT NOT NULL,
        changed_ns INTEGER NOT NULL,
        PRIMARY KEY (account, share, stamp, path),
        FOREIGN KEY (account, share, stamp) REFERENCES share_snapshots (account, share, stamp)
            ON DELETE CASCADE
    )
    """,
    # Renames that are under way, with what is renamed; see `files/renaming.py`. After a crash they
    # tell whose entries have to follow.
    """
    CREATE TABLE file_renames (
        account     TEXT NOT NULL,
        share       TEXT NOT NULL,
        source      TEXT NOT NULL,
        destination TEXT NOT NULL,
        inode       TEXT NOT NULL,
        PRIMARY KEY (account, share, destination),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    )
    """,
    # What a client set of an account's file service, as JSON; see `files/service_properties.py`.
    """
    CREATE TABLE file_services (
        account    TEXT PRIMARY KEY REFERENCES accounts (name) ON DELETE CASCADE,
        properties TEXT NOT NULL
    )
    """,
)

# What the scheduler needs so that a step costs what there is to do and not what there is: each
# question that it asks has an index of its own, which holds only the rows that answer it.
_SCHEDULING_AT_SCALE: Final = (
    # The job that holds a node now; `job_nodes` keeps those of the past.
    "ALTER TABLE nodes ADD COLUMN job_key TEXT",
    """
    UPDATE nodes SET job_key = (
        SELECT jobs.key FROM jobs JOIN job_nodes ON jobs.key = job_key
        WHERE node_id = nodes.id AND execution_state IN ('running', 'terminating')
    )
    """,
    "ALTER TABLE nodes ADD COLUMN preempted INTEGER NOT NULL DEFAULT 0",
    # Those that have been in their state for longest come first.
    "DROP INDEX nodes_by_cluster",
    "CREATE INDEX nodes_by_cluster ON nodes (cluster_key, state, state_at)",
    # Set by whoever changes something that a cluster's size or its queue depends on, cleared by the
    # scheduler in the transaction that takes it into account.
    "ALTER TABLE clusters ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 1",
    "CREATE INDEX clusters_unsettled ON clusters (key) WHERE unsettled = 1",
    """
    CREATE TRIGGER job_submitted AFTER INSERT ON jobs
    BEGIN
        UPDATE clusters SET unsettled = 1 WHERE key = NEW.cluster_key AND unsettled = 0;
    END
    """,
    """
    CREATE TRIGGER cluster_changed AFTER UPDATE OF properties, provisioning_state ON resources
    WHEN NEW.kind = 'cluster'
    BEGIN
        UPDATE clusters SET unsettled = 1 WHERE key = NEW.key;
    END
    """,
    """
    CREATE TRIGGER cluster_scaled AFTER UPDATE OF target_nodes ON clusters
    BEGIN
        UPDATE clusters SET unsettled = 1 WHERE key = NEW.key;
    END
    """,
    # Where the outputs of a requeued job's run before this one lie.
    "ALTER TABLE jobs ADD COLUMN previous_segment TEXT",
    "DROP INDEX jobs_by_state",
    "CREATE INDEX jobs_by_state ON jobs (execution_state)",
    """
    CREATE INDEX jobs_in_line ON jobs (cluster_key, priority DESC, sequence, node_count)
    WHERE execution_state = 'queued'
    """,
    """
    CREATE INDEX jobs_to_end ON jobs (uid)
    WHERE ended_at IS NULL AND termination_requested_at IS NOT NULL
    """,
)

MIGRATIONS: Final = (
    _FOUNDATION,
    _STORAGE_ACCOUNTS,
    _FILE_SERVICE_WIDENED,
    _MANY_JOBS,
    _NAMED_PRINCIPALS,
    _SHARE_SNAPSHOTS,
    _SCHEDULING_AT_SCALE,
)
"""The statements of each schema version, the first one first."""
