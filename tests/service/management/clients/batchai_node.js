// A Node program: @azure/arm-batchai, with the tokens of MSAL and adal-node, through every resource.
//
// Run beside a node_modules folder that has those packages; prints what it saw as JSON.

"use strict";

const { BatchAIManagementClient } = require("@azure/arm-batchai");
const { ClientSecretCredential } = require("@azure/identity");
const { ApplicationTokenCredentials } = require("@azure/ms-rest-nodeauth");

const service = JSON.parse(process.env.SERVICE);
const seen = {};

async function gone(get) {
  try {
    await get();
    return null;
  } catch (error) {
    return error.statusCode;
  }
}

async function names(page) {
  return (await page).map((one) => one.name);
}

async function workspace(client, group, name) {
  const made = await client.workspaces.create(group, name, { location: "northeurope" });
  const tagged = await client.workspaces.update(group, name, { tags: { a: "b" } });
  seen.workspace = [
    made.provisioningState,
    tagged.tags,
    (await client.workspaces.get(group, name)).tags,
    await names(client.workspaces.listByResourceGroup(group)),
    (await names(client.workspaces.list())).includes(name),
  ];
}

async function cluster(client, group, name) {
  const made = await client.clusters.create(group, name, "cluster", {
    vmSize: "STANDARD_NC6",
    userAccountSettings: { adminUserName: "demo", adminUserPassword: "pass-word" },
    scaleSettings: { manual: { targetNodeCount: 0 } },
  });
  const updated = await client.clusters.update(group, name, "cluster", {
    scaleSettings: { manual: { targetNodeCount: 1 } },
  });
  seen.cluster = [
    made.allocationState,
    made.userAccountSettings.adminUserPassword === undefined,
    updated.scaleSettings.manual.targetNodeCount,
    (await client.clusters.get(group, name, "cluster")).scaleSettings.manual.targetNodeCount,
    await names(client.clusters.listByWorkspace(group, name)),
    (await client.clusters.listRemoteLoginInformation(group, name, "cluster")).length,
  ];
  return made;
}

async function fileServer(client, group, name) {
  const made = await client.fileServers.create(group, name, "server", {
    vmSize: "STANDARD_D1",
    sshConfiguration: { userAccountSettings: { adminUserName: "demo" } },
    dataDisks: { diskSizeInGB: 10, diskCount: 2, storageAccountType: "Standard_LRS" },
  });
  seen["file server"] = [
    made.dataDisks.diskCount,
    (await client.fileServers.get(group, name, "server")).name,
    await names(client.fileServers.listByWorkspace(group, name)),
  ];
}

async function job(client, group, name, clusterId) {
  const made = await client.experiments.create(group, name, "experiment");
  seen.experiment = [
    made.name,
    (await client.experiments.get(group, name, "experiment")).name,
    await names(client.experiments.listByWorkspace(group, name)),
  ];
  const place = [group, name, "experiment"];
  const begun = await client.jobs.create(...place, "job", {
    cluster: { id: clusterId },
    nodeCount: 1,
    stdOutErrPathPrefix: "$AZ_BATCHAI_JOB_MOUNT_ROOT/afs",
    customToolkitSettings: { commandLine: "true" },
    secrets: [{ name: "TOKEN", value: "hush" }],
  });
  await client.jobs.terminate(...place, "job");
  const ended = await client.jobs.get(...place, "job");
  seen.job = [
    begun.secrets[0].value === undefined,
    ended.executionState,
    ended.executionInfo.errors[0].code,
    await names(client.jobs.listByExperiment(...place)),
    (await client.jobs.listRemoteLoginInformation(...place, "job")).length,
  ];
}

async function deleteAll(client, group, name) {
  await client.jobs.deleteMethod(group, name, "experiment", "job");
  await client.clusters.deleteMethod(group, name, "cluster");
  await client.fileServers.deleteMethod(group, name, "server");
  await client.experiments.deleteMethod(group, name, "experiment");
  const found = [
    await gone(() => client.jobs.get(group, name, "experiment", "job")),
    await gone(() => client.clusters.get(group, name, "cluster")),
    await gone(() => client.fileServers.get(group, name, "server")),
    await gone(() => client.experiments.get(group, name, "experiment")),
  ];
  await client.workspaces.deleteMethod(group, name);
  seen.gone = [...found, await gone(() => client.workspaces.get(group, name))];
}

// As programs signed in before @azure/identity: @azure/ms-rest-nodeauth, which uses adal-node.
async function earlierProgram(group) {
  const credentials = new ApplicationTokenCredentials(
    service.client,
    service.tenant,
    service.secret,
    undefined,
    {
      activeDirectoryEndpointUrl: service.base + "/",
      activeDirectoryResourceId: "https://management.core.windows.net/",
      validateAuthority: false,
    },
  );
  const client = new BatchAIManagementClient(credentials, service.subscription, {
    baseUri: service.base,
  });
  seen.adal = await names(client.workspaces.listByResourceGroup(group));
}

async function main() {
  const credential = new ClientSecretCredential(service.tenant, service.client, service.secret, {
    authorityHost: service.base,
    disableInstanceDiscovery: true,
  });
  const client = new BatchAIManagementClient(credential, service.subscription, {
    baseUri: service.base,
    longRunningOperationRetryTimeout: 0,
  });
  const names_ = [service.group, "workspace"];
  await workspace(client, ...names_);
  const made = await cluster(client, ...names_);
  await fileServer(client, ...names_);
  await job(client, ...names_, made.id);
  await earlierProgram(service.group);
  seen.usages = (await client.usages.list("northeurope"))[0].name.value;
  seen.operations = (await client.operations.list()).length > 0;
  await deleteAll(client, ...names_);
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
