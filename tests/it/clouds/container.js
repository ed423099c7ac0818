// Creates a container of an Azure account: node container.js ENDPOINT CONTAINER; the account and its key come from the
// environment. The broker creates none.
const { createHmac } = require("node:crypto");

const [endpoint, container] = process.argv.slice(2);
const { AZURE_STORAGE_ACCOUNT_NAME: account, AZURE_STORAGE_ACCOUNT_KEY: key } = process.env;
const url = new URL(`${endpoint}/${container}?restype=container`);
const date = new Date().toUTCString();
const version = "2021-08-06";
// The verb, eleven headers that are not sent, those of Azure's own, and the resource ("Authorize with Shared Key").
const signed = [
    `PUT${"\n".repeat(12)}x-ms-date:${date}`,
    `x-ms-version:${version}`,
    `/${account}${url.pathname}`,
    "restype:container",
].join("\n");
const signature = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
const headers = {
    "x-ms-date": date,
    "x-ms-version": version,
    authorization: `SharedKey ${account}:${signature}`,
};
fetch(url, { method: "PUT", headers }).then(async (answer) => {
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
});
