// Serves each answer that a line of standard input describes, and lets the installed
// @mdn/mdn-http-observatory scan it: one line of verdicts for each. Run by tests/support/observatory.py.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const [home, certificate] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(path.join(home, "src", file)));
const { retrieve } = await load("retriever/retriever.js");
const { ALL_RESULTS, ALL_TESTS } = await load("constants.js");

let vector = { headers: [], preflight: [], body: "", redirects: null };
const ports = {};

function fill(text, request) {
  return text
    .replaceAll("$ORIGIN", request.headers.origin ?? "")
    .replaceAll("$OTHERHTTPS", `https://localhost:${ports.https}`)
    .replaceAll("$HTTPS", `https://127.0.0.1:${ports.https}`)
    .replaceAll("$HTTP", `http://127.0.0.1:${ports.http}`);
}

function answer(request, response, secure) {
  const preflight = request.method === "OPTIONS";
  if (!secure && !preflight && vector.redirects) {
    const step = request.url === "/" ? 0 : Number(/^\/r([0-9]+)$/.exec(request.url)?.[1] ?? -1);
    if (step >= 0 && step < vector.redirects.length) {
      response.writeHead(301, ["Location", fill(vector.redirects[step], request)]);
      return response.end();
    }
  }
  if (request.url === "/robots.txt") {
    response.writeHead(404, []);
    return response.end();
  }
  const lines = preflight ? vector.preflight : vector.headers;
  response.writeHead(preflight ? 204 : 200, lines.flatMap(([name, value]) => [name, fill(value, request)]));
  response.end(preflight ? undefined : vector.body);
}

const pem = fs.readFileSync(certificate);
const servers = {
  http: http.createServer((request, response) => answer(request, response, false)),
  https: https.createServer({ key: pem, cert: pem }, (request, response) => answer(request, response, true)),
};
for (const [name, server] of Object.entries(servers)) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  ports[name] = server.address().port;
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  vector = JSON.parse(line);
  const requests = await retrieve("127.0.0.1", {
    httpPort: vector.http === "closed" ? 1 : ports.http,
    httpsPort: vector.https === "closed" ? 1 : ports.https,
  });
  const verdicts = {};
  for (const [index, test] of ALL_TESTS.entries()) {
    const { result, pass } = test(requests);
    verdicts[ALL_RESULTS[index].name] = [result, pass];
  }
  process.stdout.write(`${JSON.stringify(verdicts)}\n`);
}
for (const server of Object.values(servers)) {
  server.closeAllConnections();
  server.close();
}
