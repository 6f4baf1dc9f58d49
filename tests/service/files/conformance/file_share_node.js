// Drives a file service with Azure's client for Node and prints what it saw, as JSON.
const { ShareServiceClient, ShareClient, ShareFileClient, generateFileSASQueryParameters,
  FileSASPermissions, StorageSharedKeyCredential, AnonymousCredential, newPipeline,
} = require("@azure/storage-file-share");

async function text(response) {
  const chunks = [];
  for await (const chunk of response.readableStreamBody) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function codeOf(promise) {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return error.code || error.details.errorCode;
  }
}

async function main(base, account, key) {
  const seen = {};
  const credential = new StorageSharedKeyCredential(account, key);
  const service = new ShareServiceClient(`${base}/${account}`, credential);
  const share = service.getShareClient("fromnode");
  await share.create({ metadata: { of: "node" }, quota: 7 });
  seen.quota = (await share.getProperties()).quota;
  seen.metadata = (await share.getProperties()).metadata;
  const directory = share.getDirectoryClient("d é");
  await directory.create();
  const file = directory.getFileClient("f+ü%.txt");
  const content = Buffer.alloc(9 * 1024 * 1024, "0123456789");
  await file.uploadData(content, { rangeSize: 4 * 1024 * 1024, concurrency: 4,
    fileHttpHeaders: { fileContentType: "text/x-node" }, metadata: { Kind: "big" } });
  const back = await file.downloadToBuffer();
  seen.same = content.equals(back);
  seen.type = (await file.getProperties()).contentType;
  seen.kind = (await file.getProperties()).metadata;
  seen.part = await text(await file.download(10, 5));
  seen.ranges = (await file.getRangeList()).rangeList;
  await file.clearRange(0, 4096);
  seen.cleared = (await file.getRangeList()).rangeList;
  await file.resize(5);
  seen.size = (await file.getProperties()).contentLength;
  seen.listed = [];
  for await (const item of share.getDirectoryClient("d é").listFilesAndDirectories()) {
    seen.listed.push([item.kind, item.name]);
  }
  seen.pages = [];
  for (const name of ["a", "b", "c"]) await share.createFile(name, 1);
  for await (const page of share.rootDirectoryClient.listFilesAndDirectories()
    .byPage({ maxPageSize: 2 })) {
    seen.pages.push(page.segment.fileItems.length + page.segment.directoryItems.length);
  }
  const lease = share.rootDirectoryClient.getFileClient("a").getShareLeaseClient();
  await lease.acquireLease();
  seen.leased = await codeOf(share.deleteFile("a"));
  await lease.releaseLease();
  const { snapshot } = await share.createSnapshot();
  await file.delete();
  const old = share.withSnapshot(snapshot).getDirectoryClient("d é").getFileClient("f+ü%.txt");
  seen.old = (await old.getProperties()).contentLength;
  seen.snapshots = [];
  for await (const item of service.listShares({ includeSnapshots: true })) {
    seen.snapshots.push([item.name, item.snapshot === snapshot]);
  }
  seen.gone = await codeOf(file.getProperties());
  seen.has = await codeOf(share.delete());
  const copy = share.rootDirectoryClient.getFileClient("copy");
  await copy.startCopyFromURL(old.url);
  seen.copied = (await copy.getProperties()).contentLength;
  const sas = generateFileSASQueryParameters({ shareName: "fromnode", filePath: "copy",
    permissions: FileSASPermissions.parse("r"), expiresOn: new Date(Date.now() + 3600000),
    contentType: "text/by-sas" }, credential).toString();
  const guest = new ShareFileClient(`${copy.url}?${sas}`);
  seen.guest = (await guest.download()).contentType;
  seen.refused = await codeOf(guest.delete());
  const stranger = new ShareServiceClient(`${base}/${account}`,
    new StorageSharedKeyCredential(account, Buffer.from("wrong").toString("base64")));
  seen.stranger = await codeOf(stranger.getProperties());
  // No rename: the client leaves the account out of a path-style address then.
  await share.setAccessPolicy([{ id: "p", accessPolicy: { permissions: "r",
    startsOn: new Date(0), expiresOn: new Date(Date.now() + 3600000) } }]);
  seen.policies = (await share.getAccessPolicy()).signedIdentifiers.map((item) => item.id);
  await service.setProperties({ cors: [{ allowedOrigins: "*", allowedMethods: "GET",
    allowedHeaders: "*", exposedHeaders: "*", maxAgeInSeconds: 9 }] });
  seen.cors = (await service.getProperties()).cors.length;
  seen.usage = (await share.getStatistics()).shareUsageBytes > 0;
  await share.delete({ deleteSnapshots: "include" });
  seen.left = [];
  for await (const item of service.listShares()) seen.left.push(item.name);
  console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
