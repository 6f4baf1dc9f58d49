-- What the first release that could be used left behind: a job that waits for a node.
BEGIN TRANSACTION;
CREATE TABLE accounts (
        name TEXT PRIMARY KEY,
        key1 TEXT NOT NULL,
        key2 TEXT NOT NULL
    );
INSERT INTO "accounts" VALUES('batchairecipes','YW4gb2xkIGtleQ==','YW5vdGhlciBvbGQga2V5');
CREATE TABLE clusters (
        key                 TEXT PRIMARY KEY REFERENCES resources (key) ON DELETE CASCADE,
        uid                 TEXT NOT NULL UNIQUE,
        target_nodes        INTEGER NOT NULL,
        allocation_state    TEXT NOT NULL,
        allocation_state_at TEXT NOT NULL,
        errors              TEXT NOT NULL DEFAULT '[]'
    );
INSERT INTO "clusters" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/clusters/cluster','4ee45af2d724438ba17cfa6feefe8c7c',0,'steady','2026-11-24T14:47:24.773Z','[]');
CREATE TABLE file_entries (
        account    TEXT NOT NULL,
        share      TEXT NOT NULL,
        path       TEXT NOT NULL,
        metadata   TEXT NOT NULL DEFAULT '{}',
        headers    TEXT NOT NULL DEFAULT '{}',
        inode      TEXT NOT NULL,
        changed_ns INTEGER NOT NULL, lease TEXT NOT NULL DEFAULT '{}',
        PRIMARY KEY (account, share, path),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    );
CREATE TABLE job_nodes (
        job_key    TEXT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
        node_id    TEXT NOT NULL,
        task_index INTEGER NOT NULL,
        PRIMARY KEY (job_key, task_index)
    );
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
    );
INSERT INTO "jobs" VALUES(1,'/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/experiments/experiment/jobs/job','67bdd606-e0f4-42b7-8c47-617eaba01773','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/clusters/cluster',0,1,'queued','2026-11-24T14:47:24.777Z',NULL,NULL,NULL,'[]',NULL,'{"stdouterr": null}');
CREATE TABLE nodes (
        id          TEXT PRIMARY KEY,
        cluster_key TEXT NOT NULL REFERENCES clusters (key) ON DELETE CASCADE,
        state       TEXT NOT NULL,
        state_at    TEXT NOT NULL,
        error       TEXT
    );
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
    );
INSERT INTO "operations" VALUES('5d0c1c1f-3290-4b26-af15-670368c44034','22222222-2222-4222-8222-222222222222','northeurope','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/clusters/cluster','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/clusters/cluster','create','Succeeded','2026-11-24T14:47:24.773Z','2026-11-24T14:47:24.775Z',NULL);
INSERT INTO "operations" VALUES('9f493913-9d6e-4277-b0f2-6161a8939df1','22222222-2222-4222-8222-222222222222','northeurope','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/experiments/experiment/jobs/job','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/experiments/experiment/jobs/job','create','Succeeded','2026-11-24T14:47:24.778Z','2026-11-24T14:47:24.781Z',NULL);
CREATE TABLE principals (
        client_id   TEXT PRIMARY KEY,
        tenant_id   TEXT NOT NULL,
        salt        BLOB NOT NULL,
        secret_hash BLOB NOT NULL
    );
INSERT INTO "principals" VALUES('33333333-3333-4333-8333-333333333333','11111111-1111-4111-8111-111111111111',X'3DC55E1F4238F8BE3AD03EAF231311B7',X'2210C21428655A67874AB75BBCBDC6403BB249A250197A4918104B508939B8C6547617D336F38D43F21C9BD674BC0722CE6242B382A8B5EEA88EDC3A8C0482E6');
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
    );
INSERT INTO "resources" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark',NULL,'resourceGroup','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark','benchmark','northeurope','{}','{}','{}','succeeded','2026-11-24T14:47:24.761Z','2026-11-24T14:47:24.761Z','2026-11-24T14:47:24.761Z','"0xDB46D8C6B4B227FC"');
INSERT INTO "resources" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark','workspace','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace','workspace','northeurope','{}','{}','{}','succeeded','2026-11-24T14:47:24.766Z','2026-11-24T14:47:24.766Z','2026-11-24T14:47:24.766Z','"0x0FFB39FF913DA131"');
INSERT INTO "resources" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/experiments/experiment','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace','experiment','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/experiments/experiment','experiment',NULL,'{}','{}','{}','succeeded','2026-11-24T14:47:24.77Z','2026-11-24T14:47:24.77Z','2026-11-24T14:47:24.77Z','"0xCE5A7B52D01FAFAC"');
INSERT INTO "resources" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/clusters/cluster','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace','cluster','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/clusters/cluster','cluster',NULL,'{}','{"vmSize": "STANDARD_NC6", "vmPriority": "dedicated", "scaleSettings": {"manual": {"targetNodeCount": 0, "nodeDeallocationOption": "requeue"}}, "virtualMachineConfiguration": {"imageReference": {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "16.04-LTS", "version": "latest"}}, "userAccountSettings": {"adminUserName": "demo"}}','{"accountKeys": {}}','succeeded','2026-11-24T14:47:24.773Z','2026-11-24T14:47:24.773Z','2026-11-24T14:47:24.773Z','"0x908476A8C4E730F6"');
INSERT INTO "resources" VALUES('/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/experiments/experiment/jobs/job','/subscriptions/22222222-2222-4222-8222-222222222222/resourcegroups/benchmark/providers/microsoft.batchai/workspaces/workspace/experiments/experiment','job','/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/experiments/experiment/jobs/job','job',NULL,'{}','{"experimentName": "experiment", "schedulingPriority": "normal", "cluster": {"id": "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/benchmark/providers/Microsoft.BatchAI/workspaces/workspace/clusters/cluster"}, "nodeCount": 1, "customToolkitSettings": {"commandLine": "true"}, "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs", "constraints": {"maxWallClockTime": "P7D"}, "jobOutputDirectoryPathSegment": "22222222-2222-4222-8222-222222222222/benchmark/workspaces/workspace/experiments/experiment/jobs/job/67bdd606-e0f4-42b7-8c47-617eaba01773", "toolType": "custom"}','{"environment": {}, "accountKeys": {}}','succeeded','2026-11-24T14:47:24.777Z','2026-11-24T14:47:24.777Z','2026-11-24T14:47:24.777Z','"0xD080A778216555B8"');
CREATE TABLE share_permissions (
        account    TEXT NOT NULL,
        share      TEXT NOT NULL,
        key        TEXT NOT NULL,
        permission TEXT NOT NULL,
        PRIMARY KEY (account, share, key),
        FOREIGN KEY (account, share) REFERENCES shares (account, name) ON DELETE CASCADE
    );
CREATE TABLE shares (
        account     TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
        name        TEXT NOT NULL,
        quota_gib   INTEGER NOT NULL,
        metadata    TEXT NOT NULL DEFAULT '{}',
        etag        TEXT NOT NULL,
        created_at  TEXT NOT NULL,
        modified_at TEXT NOT NULL, lease TEXT NOT NULL DEFAULT '{}', policies TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (account, name)
    );
CREATE INDEX resources_by_parent ON resources (parent_key, kind, name);
CREATE INDEX nodes_by_cluster ON nodes (cluster_key, state);
CREATE INDEX jobs_by_state ON jobs (execution_state, cluster_key);
CREATE INDEX operations_by_resource ON operations (resource_key, status);
CREATE TRIGGER storage_account_deleted AFTER DELETE ON resources
    WHEN OLD.kind = 'storageAccount'
    BEGIN
        DELETE FROM accounts WHERE name = OLD.name;
    END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
PRAGMA user_version=3;
