// The control plane through the AWS SDK for JavaScript v3: an API is made, deployed and changed while a client's socket of it
// stays open.

import assert from 'node:assert/strict';
import {
  ApiGatewayV2Client, BadRequestException, ConflictException, CreateApiCommand, CreateDeploymentCommand, CreateIntegrationCommand,
  CreateRouteCommand, CreateRouteResponseCommand, CreateStageCommand, DeleteApiCommand, DeleteRouteCommand, GetApiCommand,
  GetApisCommand, GetDeploymentCommand, GetRoutesCommand, GetStageCommand, GetStagesCommand, GetTagsCommand, NotFoundException,
  TagResourceCommand, UntagResourceCommand, UpdateRouteCommand, UpdateStageCommand,
} from '@aws-sdk/client-apigatewayv2';
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

const { ENDPOINT, BACKEND } = process.env;

// A retry would hide an answer that should not have come.
const settings = { region: 'us-east-1', maxAttempts: 1 };
const client = new ApiGatewayV2Client({ ...settings, endpoint: ENDPOINT });
const send = (Command, input) => client.send(new Command(input));

async function refused(kind, status, words, sending) {
  const error = await sending.then(() => assert.fail('was not refused'), (thrown) => thrown);
  assert.ok(error instanceof kind, `${error}`);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
  assert.ok(error.message.includes(words), error.message);
}

async function integration(ApiId, path) {
  const made = await send(CreateIntegrationCommand, {
    ApiId, IntegrationType: 'HTTP_PROXY', IntegrationMethod: 'POST', IntegrationUri: BACKEND + path,
  });
  return `integrations/${made.IntegrationId}`;
}

async function twoWay(ApiId, RouteKey, Target) {
  const { RouteId } = await send(CreateRouteCommand, { ApiId, RouteKey, Target });
  await send(CreateRouteResponseCommand, { ApiId, RouteId, RouteResponseKey: '$default' });
  return RouteId;
}

// A client of a stage. A socket that closes fails whoever waits for its next message.
async function open(url) {
  const socket = new WebSocket(url);
  const arrived = [];
  const waiting = [];
  socket.addEventListener('message', ({ data }) => (waiting.shift()?.resolve ?? ((text) => arrived.push(text)))(data));
  socket.addEventListener('close', () => waiting.splice(0).forEach(({ reject }) => reject(new Error('the socket was closed'))));
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', ({ message }) => reject(new Error(`${url}: ${message}`)));
  });
  const next = () => new Promise((resolve, reject) => {
    if (arrived.length > 0) resolve(arrived.shift());
    else if (socket.readyState !== WebSocket.OPEN) reject(new Error('the socket was closed'));
    else waiting.push({ resolve, reject });
  });
  const ask = (action) => {
    socket.send(JSON.stringify({ action }));
    return next();
  };
  const isRefused = async (action) => assert.equal(JSON.parse(await ask(action)).message, 'Forbidden');
  return { next, ask, isRefused, close: () => socket.close() };
}

// This SDK has no paginators for these lists.
async function all(Command, input) {
  const found = [];
  let NextToken;
  do {
    const page = await send(Command, { ...input, MaxResults: '2', NextToken });
    assert.ok(page.Items.length >= 1 && page.Items.length <= 2);
    found.push(...page.Items);
    ({ NextToken } = page);
  } while (NextToken !== undefined);
  return found;
}

const { ApiId, ApiEndpoint, CreatedDate } = await send(CreateApiCommand, {
  Name: 'javascript', ProtocolType: 'WEBSOCKET', RouteSelectionExpression: '$request.body.action', Tags: { env: 'test' },
});
assert.ok(CreatedDate instanceof Date && Math.abs(Date.now() - CreatedDate) < 60_000, `${CreatedDate}`);
const whoami = await integration(ApiId, '/whoami');
await twoWay(ApiId, 'whoami', whoami);
await twoWay(ApiId, 'variable', await integration(ApiId, '/${stageVariables.name}'));
const { DeploymentId: first } = await send(CreateDeploymentCommand, { ApiId });
await send(CreateStageCommand, { ApiId, StageName: 'prod', DeploymentId: first, StageVariables: { name: 'one' } });

const socket = await open(`${ApiEndpoint}/prod`);
const connection = await socket.ask('whoami');
const callbacks = new ApiGatewayManagementApiClient({ ...settings, endpoint: `${ENDPOINT}/_aws/execute-api/${ApiId}/prod` });
await callbacks.send(new PostToConnectionCommand({ ConnectionId: connection, Data: 'pushed by JavaScript' }));
assert.equal(await socket.next(), 'pushed by JavaScript');
assert.equal(await socket.ask('variable'), 'one');

// Routes wait for a deployment, stage variables do not; the socket is the same all the while.
await twoWay(ApiId, 'later', whoami);
await socket.isRefused('later');
await send(CreateDeploymentCommand, { ApiId, StageName: 'prod' });
assert.equal(await socket.ask('later'), connection);
await send(UpdateStageCommand, { ApiId, StageName: 'prod', StageVariables: { name: 'two' } });
assert.equal(await socket.ask('variable'), 'two');
await send(UpdateStageCommand, { ApiId, StageName: 'prod', DeploymentId: first });
await socket.isRefused('later');

// A stage that deploys itself follows every change.
await send(UpdateStageCommand, { ApiId, StageName: 'prod', AutoDeploy: true });
assert.equal(await socket.ask('later'), connection);
const RouteId = await twoWay(ApiId, 'fresh', whoami);
assert.equal(await socket.ask('fresh'), connection);
await send(UpdateRouteCommand, { ApiId, RouteId, RouteKey: 'renamed' });
await socket.isRefused('fresh');
assert.equal(await socket.ask('renamed'), connection);
await send(DeleteRouteCommand, { ApiId, RouteId });
await socket.isRefused('renamed');
const stage = await send(GetStageCommand, { ApiId, StageName: 'prod' });
const automatic = await send(GetDeploymentCommand, { ApiId, DeploymentId: stage.DeploymentId });
assert.deepEqual([automatic.AutoDeployed, automatic.DeploymentStatus], [true, 'DEPLOYED']);

await refused(NotFoundException, 404, 'Invalid API identifier', send(GetApiCommand, { ApiId: 'nosuch' }));
await refused(BadRequestException, 400, 'HTTP, WEBSOCKET', send(CreateApiCommand, { Name: 'x', ProtocolType: 'FTP' }));
await refused(ConflictException, 409, 'already exists', send(CreateRouteCommand, { ApiId, RouteKey: 'whoami' }));
await refused(BadRequestException, 400, 'AutoDeploy', send(UpdateStageCommand, { ApiId, StageName: 'prod', DeploymentId: first }));

for (let number = 0; number < 4; number += 1) {
  await send(CreateStageCommand, { ApiId, StageName: `stage${number}` });
  await send(CreateApiCommand, { Name: `other${number}`, ProtocolType: 'HTTP' });
}
assert.equal((await all(GetApisCommand, {})).length, 5);
assert.equal((await all(GetStagesCommand, { ApiId })).length, 5);
assert.deepEqual(await all(GetRoutesCommand, { ApiId }), (await send(GetRoutesCommand, { ApiId })).Items);

// The ARN is one segment of the path, with its slashes encoded.
const ResourceArn = `arn:aws:apigateway:us-east-1::/apis/${ApiId}`;
await send(TagResourceCommand, { ResourceArn, Tags: { team: 'core' } });
await send(UntagResourceCommand, { ResourceArn, TagKeys: ['env', 'x y'] });
assert.deepEqual((await send(GetTagsCommand, { ResourceArn })).Tags, { team: 'core' });

assert.equal(await socket.ask('whoami'), connection, 'the socket lived through all of it');
socket.close();
assert.equal((await send(DeleteApiCommand, { ApiId })).$metadata.httpStatusCode, 204);
await refused(NotFoundException, 404, ApiId, send(GetApiCommand, { ApiId }));
console.log('ok');
