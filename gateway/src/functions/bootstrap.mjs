// Runs a Node.js Lambda function: asks Wiregate for a call, gives it to the handler, sends back what it returns.
// What a function can see (context, error shapes, exit codes) is as in AWS's own Node.js runtimes.

import fs from 'node:fs';
import Module, { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const API = '/2018-06-01/runtime';
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');

// One connection with one request at a time, to a server that says how long each answer is: node:http takes several times as long.
class Connection {
  #socket = undefined;
  #received = [];
  #length = 0;
  #head = undefined; // of the answer that is coming
  #waiting = undefined;

  #open() {
    const socket = net.connect({ host, port: Number(port), noDelay: true });
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(socket, error));
    socket.on('close', () => this.#fail(socket, new Error('the runtime API closed the connection')));
    this.#received = [];
    this.#length = 0;
    this.#head = undefined;
    return socket;
  }

  request(method, path, headers = {}, body = undefined) {
    let head = `${method} ${API}${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    return new Promise((resolve, reject) => {
      this.#socket ??= this.#open();
      this.#waiting = { resolve, reject };
      // A process that waits for a call has something to do; one whose handler runs has what the handler does.
      this.#socket.ref();
      this.#socket.cork();
      this.#socket.write(head + '\r\n', 'latin1');
      if (body !== undefined) this.#socket.write(body);
      this.#socket.uncork();
    });
  }

  #fail(socket, error) {
    // One that was given up already has nothing to say any more.
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #take(chunk) {
    this.#received.push(chunk);
    this.#length += chunk.length;
    if (this.#head === undefined) {
      const all = Buffer.concat(this.#received);
      this.#received = [all];
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#head = parseHead(all.toString('latin1', 0, end));
      this.#received = [all.subarray(end + 4)];
      this.#length -= end + 4;
    }
    const { status, headers } = this.#head;
    if (this.#length < Number(headers['content-length'])) return;
    const body = Buffer.concat(this.#received).toString('utf8');
    this.#received = [];
    this.#length = 0;
    this.#head = undefined;
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    if (headers.connection === 'close') {
      this.#socket.destroy();
      this.#socket = undefined;
    } else {
      this.#socket.unref();
    }
    resolve({ status, headers, body });
  }
}

function parseHead(text) {
  const [first, ...lines] = text.split('\r\n');
  const headers = { 'content-length': '0' };
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(first.split(' ')[1]), headers };
}

const connection = new Connection();

function post(path, text, headers = {}, over = connection) {
  const body = Buffer.from(text, 'utf8');
  return over.request('POST', path, { 'Content-Type': 'application/json', 'Content-Length': body.length, ...headers }, body);
}

// ---- Errors, as AWS writes them.

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

function isError(value) {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

function errorObject(error) {
  try {
    if (isError(error)) {
      const trace = String(error.stack ?? '').split('\n');
      return { errorType: error.name?.replaceAll('\x7F', '%7F') ?? 'Error', errorMessage: error.message, trace, ...error.extra };
    }
    return { errorType: typeof error, errorMessage: typeof error === 'string' ? error : String(JSON.stringify(error)), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: 'callback called with an error that cannot be read', trace: [] };
  }
}

function postError(path, error, over = connection) {
  const object = errorObject(error);
  const type = String(object.errorType).replace(/[^\x21-\x7e]/g, '_') || 'Error';
  return post(path, JSON.stringify(object), { 'Lambda-Runtime-Function-Error-Type': type }, over);
}

// ---- The function's code.

// The AWS SDK is part of AWS's runtimes. What the function does not bring itself is looked for where the environment says.
function offerFallback(folder) {
  const bare = (specifier) => !/^(\.{0,2}\/|\.{1,2}$|[a-z-]+:)/i.test(specifier);
  const original = Module._resolveFilename;
  Module._resolveFilename = function (specifier, ...rest) {
    try {
      return original.call(this, specifier, ...rest);
    } catch (error) {
      if (error?.code !== 'MODULE_NOT_FOUND' || !bare(specifier)) throw error;
      try {
        return createRequire(path.join(folder, 'index.js')).resolve(specifier);
      } catch {
        throw error;
      }
    }
  };
  const parent = JSON.stringify(pathToFileURL(folder + path.sep).href);
  const hooks = `
    const bare = ${bare};
    export async function resolve(specifier, context, next) {
      try {
        return await next(specifier, context);
      } catch (error) {
        if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !bare(specifier)) throw error;
        try {
          return await next(specifier, { ...context, parentURL: ${parent} });
        } catch {
          throw error;
        }
      }
    }`;
  Module.register?.('data:text/javascript,' + encodeURIComponent(hooks));
}

function isEsModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (path.basename(folder) === 'node_modules') return false;
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error instanceof SyntaxError) return false;
    }
    if (folder === path.dirname(folder)) return false;
  }
}

async function loadModule(root, name) {
  const base = path.resolve(root, name);
  const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
  const file = [base, base + '.js', base + '.mjs', base + '.cjs'].find(isFile);
  if (file && isEsModule(file)) return import(pathToFileURL(file).href);
  const require = createRequire(path.join(root, 'index.js'));
  return require(file ?? require.resolve(name, { paths: [base, root, path.dirname(base)] }));
}

async function loadHandler(root, handler) {
  if (handler.includes('..')) {
    throw new RuntimeError('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const [, name, exports] = /^([^.]*)\.(.+)$/.exec(path.basename(handler)) ?? [];
  if (!name || !exports) {
    throw new RuntimeError('Runtime.MalformedHandlerName', 'Bad handler');
  }
  let loaded;
  try {
    loaded = await loadModule(root, path.join(path.dirname(handler), name));
  } catch (error) {
    if (error instanceof SyntaxError) {
      const wrapped = new RuntimeError('Runtime.UserCodeSyntaxError', String(error));
      wrapped.stack = error.stack;
      throw wrapped;
    }
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeError('Runtime.ImportModuleError', String(error));
    }
    throw error;
  }
  const steps = exports.split('.');
  const find = (from) => steps.reduce((value, step) => value?.[step], from);
  const found = find(loaded) ?? find(loaded?.default);
  if (found === undefined || found === null) {
    throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is not a function`);
  }
  return found;
}

// ---- Calls.

let current; // the request id of the call under way

function makeContext(headers, id) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const json = (text) => {
    try {
      return text === undefined ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: json(headers['lambda-runtime-client-context']),
    identity: json(headers['lambda-runtime-cognito-identity']),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: id,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

/** Runs the handler once; resolves with its result or rejects with its error. */
function invoke(handler, event, context) {
  return new Promise((resolve, reject) => {
    let called = false; // the callback counts once
    let settled = false;
    const end = (error, result) => {
      if (settled) return;
      settled = true;
      process.removeListener('beforeExit', drained);
      if (error !== undefined && error !== null) reject(error);
      else resolve(result);
    };
    let answer = null;
    // Nothing is left to do. Where nobody answered the result is null, as on AWS.
    const drained = () => end(null, answer);
    process.once('beforeExit', drained);
    const once = (error, result) => {
      if (called) return;
      called = true;
      const failed = error !== undefined && error !== null;
      if (!failed && context.callbackWaitsForEmptyEventLoop) answer = result;
      else end(error, result);
    };
    context.done = once;
    context.succeed = (result) => end(null, result);
    context.fail = (error) => end(error ?? 'handled');
    let returned;
    try {
      returned = handler(event, context, once);
    } catch (error) {
      end(error ?? 'undefined');
      return;
    }
    if (typeof returned?.then === 'function') {
      returned.then(
        (result) => end(null, result),
        (error) => end(error ?? 'undefined'),
      );
    }
  });
}

function serialize(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch (error) {
    throw new RuntimeError('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`);
  }
}

async function handleOne(handler) {
  const { status, headers, body } = await connection.request('GET', '/invocation/next');
  if (status !== 200) throw new Error(`the runtime API answered ${status}: ${body}`);
  const id = headers['lambda-runtime-aws-request-id'];
  current = id;
  if (headers['lambda-runtime-trace-id']) process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
  else delete process.env._X_AMZN_TRACE_ID;
  let result;
  try {
    result = serialize(await invoke(handler, JSON.parse(body), makeContext(headers, id)));
  } catch (error) {
    console.error('Invoke Error', JSON.stringify(errorObject(error)));
    await postError(`/invocation/${id}/error`, error);
    current = undefined;
    return;
  }
  await post(`/invocation/${id}/response`, result);
  current = undefined;
}

// What nobody caught ends the process, and the call with it.
async function end(error, label, code) {
  console.error(label, JSON.stringify(errorObject(error)));
  const where = current === undefined ? '/init/error' : `/invocation/${current}/error`;
  try {
    // The other connection may be waiting for a call.
    await postError(where, error, new Connection());
  } finally {
    process.exit(code);
  }
}

process.on('uncaughtException', (error) => end(error, 'Uncaught Exception', 129));
process.on('unhandledRejection', (reason) => {
  const error = new RuntimeError('Runtime.UnhandledPromiseRejection', isError(reason) ? String(reason) : String(reason));
  if (isError(reason)) error.stack = reason.stack;
  error.extra = { reason: isError(reason) ? errorObject(reason) : reason, promise: {} };
  end(error, 'Unhandled Promise Rejection', 128);
});

async function main() {
  const root = process.env.LAMBDA_TASK_ROOT;
  if (process.env.WIREGATE_NODE_FALLBACK) offerFallback(process.env.WIREGATE_NODE_FALLBACK);
  let handler;
  try {
    handler = await loadHandler(root, process.env._HANDLER ?? '');
  } catch (error) {
    await end(error, 'Init Error', 1);
    return;
  }
  for (;;) await handleOne(handler);
}

// Not awaited at the top: a promise that never settles must be seen as an empty event loop, not as an unfinished module.
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
