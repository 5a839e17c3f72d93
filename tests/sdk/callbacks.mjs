// The @connections API through the AWS SDK for JavaScript v3. What must hold is asserted; the caller checks what
// arrived on the sockets.

import assert from 'node:assert/strict';
import {
  ApiGatewayManagementApiClient, DeleteConnectionCommand, ForbiddenException, GetConnectionCommand, GoneException,
  PayloadTooLargeException, PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

const { ENDPOINT, OPEN_ID, CLOSING_ID, TOO_LONG } = process.env;

const client = (endpoint = ENDPOINT) => new ApiGatewayManagementApiClient({ endpoint, region: 'us-east-1' });
const post = (ConnectionId, Data, to = client()) => to.send(new PostToConnectionCommand({ ConnectionId, Data }));

async function refused(sending, name, status) {
  const error = await sending.then(() => assert.fail('was not refused'), (thrown) => thrown);
  assert.equal(error.name, name, `${error}`);
  assert.equal(error.$metadata.httpStatusCode, status);
  return error;
}

async function everything() {
  const answer = await post(OPEN_ID, 'from JavaScript');
  assert.equal(answer.$metadata.httpStatusCode, 200);
  assert.match(answer.$metadata.requestId, /^[0-9a-f-]{36}$/);
  // The SDK sends a doubled slash for this one.
  await post(OPEN_ID, new TextEncoder().encode('trailing slash, ünïcode'), client(`${ENDPOINT}/`));
  await post(OPEN_ID, '');

  const found = await client().send(new GetConnectionCommand({ ConnectionId: OPEN_ID }));
  for (const time of [found.ConnectedAt, found.LastActiveAt]) {
    assert.ok(time instanceof Date && Math.abs(Date.now() - time) < 60_000, `${time}`);
  }
  assert.equal(found.Identity.SourceIp, '127.0.0.1');
  assert.equal(found.Identity.UserAgent, 'spec/1');

  const closed = await client().send(new DeleteConnectionCommand({ ConnectionId: CLOSING_ID }));
  assert.equal(closed.$metadata.httpStatusCode, 204);
  const again = client().send(new DeleteConnectionCommand({ ConnectionId: CLOSING_ID }));
  assert.ok(await refused(again, 'GoneException', 410) instanceof GoneException);
  await refused(post(CLOSING_ID, 'x'), 'GoneException', 410);
  await refused(post('BFaT_fALIAMCKug=', 'x'), 'GoneException', 410);

  const large = await refused(post(OPEN_ID, 'x'.repeat(Number(TOO_LONG))), 'PayloadTooLargeException', 413);
  assert.ok(large instanceof PayloadTooLargeException);
  const malformed = await refused(post('abc', 'x'), 'BadRequestException', 400);
  assert.equal(malformed.message, 'Invalid connectionId: abc');
  const elsewhere = post(OPEN_ID, 'x', client(`${ENDPOINT}-not-a-stage`));
  assert.ok(await refused(elsewhere, 'ForbiddenException', 403) instanceof ForbiddenException);
}

const [expected] = process.argv.slice(2);
if (expected) await refused(post(OPEN_ID, 'never'), expected, 403);
else await everything();
console.log('ok');
