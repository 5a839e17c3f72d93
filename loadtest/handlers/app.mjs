// What the scenario `function` calls in Node.js: the same answer as a Lambda function and, run with a port, as a plain HTTP server.

import { createServer } from 'node:http';

function answer(message) {
  return message;
}

export async function handler(event) {
  return { statusCode: 200, body: answer(event.body) };
}

// A worker loads this file; only the server is started with it.
const [, , mode, port] = process.argv;
if (mode === 'http') {
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const body = answer(Buffer.concat(pieces).toString());
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    });
  });
  // The gateway keeps its connections; closing them under it would be another measurement.
  server.keepAliveTimeout = 0;
  server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
}
