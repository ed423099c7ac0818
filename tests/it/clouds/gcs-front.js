// Puts of Google's XML interface for a fake that knows them in JSON's only: node gcs-front.js PORT FAKES-PORT.
//
// A put becomes an upload under the same condition, judged by the fake; everything else goes through as it is.
const http = require("node:http");

const [port, fake] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });

function upload(request) {
    const { pathname } = new URL(request.url, "http://front");
    const [, bucket, ...name] = decodeURIComponent(pathname).split("/");
    const query = new URLSearchParams({ uploadType: "media", name: name.join("/") });
    const generation = request.headers["x-goog-if-generation-match"];
    if (generation !== undefined) query.set("ifGenerationMatch", generation);
    return `/upload/storage/v1/b/${bucket}/o?${query}`;
}

async function text(answer) {
    const pieces = [];
    for await (const piece of answer) pieces.push(piece);
    return Buffer.concat(pieces).toString();
}

async function put(request, response) {
    const { "content-length": length, "content-type": type } = request.headers;
    const headers = { "content-length": length, "content-type": type ?? "application/octet-stream" };
    const options = { port: fake, agent, method: "POST", path: upload(request), headers };
    const asked = http.request(options, async (answer) => {
        const said = await text(answer);
        if (answer.statusCode !== 200) return response.writeHead(answer.statusCode).end(said);
        const { etag, generation } = JSON.parse(said);
        response.writeHead(200, { etag: `"${etag}"`, "x-goog-generation": generation }).end();
    });
    request.pipe(asked);
}

function pass(request, response) {
    const { method, url, headers } = request;
    const asked = http.request({ port: fake, agent, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
    });
    request.pipe(asked);
}

http.createServer((request, response) => {
    (request.method === "PUT" ? put : pass)(request, response);
}).listen(port, "127.0.0.1");
