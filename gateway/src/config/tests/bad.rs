//! Files with mistakes, and every word of what is said about them.

use super::complaints;

/// A whole file and all complaints about it.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let complaints = complaints(text);
    let lines: Vec<&str> = complaints.lines().collect();
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_start_matches("wiregate.yaml:"))
        .collect();
    assert_eq!(lines, expected, "in\n{text}");
}

/// What stands under `server`, from line 2 on.
#[track_caller]
fn server(options: &str, expected: &[&str]) {
    check(&format!("server:\n  {options}\n"), expected);
}

/// What stands under `server`, where an API `chat` with a stage `dev` exists.
#[track_caller]
fn domains(options: &str, expected: &[&str]) {
    check(
        &format!("server:\n  {options}\napis: {{ chat: }}\n"),
        expected,
    );
}

/// What stands under an API, from line 3 on.
#[track_caller]
fn api(body: &str, expected: &[&str]) {
    check(&format!("apis:\n  chat:\n    {body}\n"), expected);
}

#[test]
fn not_yaml() {
    check(
        "apis: [",
        &["1:1: this is not YAML: while parsing a node, did not find expected node content"],
    );
    check(
        "a: b: c",
        &["1:5: this is not YAML: mapping values are not allowed in this context"],
    );
    check(
        "apis:\n	chat: 1\n",
        &[
            "2:2: this is not YAML: tabs disallowed within this context (block indentation); indent with spaces, not tabs",
        ],
    );
    check(
        "apis:\n  chat:\n    routes: { echo: http://${stageVariables.host}/x }",
        &[
            "3:29: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'; text that holds ${…} needs quotes inside braces",
        ],
    );
    check(
        "server:\n  listen: [::1]:80",
        &[
            "2:16: this is not YAML: while parsing a block mapping, did not find expected key; an IPv6 address needs quotes",
        ],
    );
    check(
        "apis: &a {}",
        &[
            "1:7: anchors (&name) are not read; write the value out, or in quotes if it is meant as text",
        ],
    );
    check(
        "apis: *a",
        &[
            "1:7: this is not YAML: while parsing node, found unknown anchor; text that begins with * or & needs quotes",
        ],
    );
    check(
        "apis: !!map {}",
        &[
            "1:7: tags (!name) are not read; write the value out, or in quotes if it is meant as text",
        ],
    );
    check(
        "a: &a x\nb: *a",
        &[
            "1:1: unknown key 'a'; the keys here are: server, lambda and apis",
            "1:4: anchors (&name) are not read; write the value out, or in quotes if it is meant as text",
            "2:1: unknown key 'b'; the keys here are: server, lambda and apis",
            "2:4: aliases (*name) are not read; write the value out, or in quotes if it is meant as text",
        ],
    );
    check("{a: 1}: 2", &["1:1: a key must be plain text"]);
    check("[a]: 2", &["1:1: a key must be plain text"]);
    check(
        "apis: {}\n---\napis: {}",
        &["3:1: a second document begins; one file holds one document"],
    );
    check(
        "x: \0",
        &["1:4: a control character cannot stand in a settings file"],
    );
}

#[test]
fn twice() {
    check(
        "apis: {}\napis: {}",
        &["2:1: duplicate key 'apis', first written in line 1"],
    );
    check(
        "apis:\n  chat:\n    routes:\n      echo: http://h/1\n      echo: http://h/2\n",
        &["5:7: duplicate key 'echo', first written in line 4"],
    );
    check(
        "apis:\n  chat:\n    routes:\n      - { routeKey: echo, integration: http://h/1 }\n      - routeKey: echo\n      - { integration: http://h/1 }\n",
        &[
            "5:19: duplicate routeKey 'echo', first written in line 4",
            "6:9: 'routeKey' is missing",
        ],
    );
}

#[test]
fn the_wrong_kind() {
    check("just text", &["1:1: expected a map, found 'just text'"]);
    check("- a\n- b", &["1:1: expected a map, found a list"]);
    check("api: {}", &["1:1: unknown key 'api'; did you mean 'apis'?"]);
    check(
        "<<: {}",
        &["1:1: unknown key '<<'; the keys here are: server, lambda and apis"],
    );
    check("server: 5", &["1:9: expected a map, found '5'"]);
    check("server:\n  log: 5", &["2:8: expected a map, found '5'"]);
    check("apis: 5", &["1:7: expected a map or a list, found '5'"]);
    check("apis:\n  chat: 5", &["2:9: expected a map, found '5'"]);
    check(
        "apis:\n  chat:\n    routes: 5",
        &["3:13: expected a map or a list, found '5'"],
    );
    check(
        "apis: { 'a b': , c: }",
        &["1:9: the id of an API consists of up to 63 letters, digits, - and _"],
    );
}

#[test]
fn the_nearest_key() {
    check(
        "apis:\n  chat:\n    routes:\n      echo:\n        integration:\n          integratonUri: http://h\n          integrationType: HTTP_PROXI\n          timeoutInMillis: 5s\n",
        &[
            "6:11: unknown key 'integratonUri'; did you mean 'integrationUri'?",
            "7:28: expected one of HTTP_PROXY, AWS_PROXY, HTTP, AWS, MOCK, found 'HTTP_PROXI'",
            "8:28: expected a number of milliseconds from 1 to 86400000, found '5s'",
        ],
    );
}

#[test]
fn lambda_section() {
    check(
        "lambda: { endpoint: x, functions: { f: g, h: { pathName: x }, i: { endpoint: http://h, headers: { 'a b': c, d: \"e\\nf\" } } }, credentials: { accessKeyId: a } }",
        &[
            "1:21: expected a URL such as http://127.0.0.1:9001, found 'x'",
            "1:40: expected a URL such as http://127.0.0.1:9001, found 'g'",
            "1:46: write endpoint, where the function runs, or codeUri, the folder of its code, to run it here",
            "1:106: this is no name of a header",
            "1:112: this cannot be the value of a header",
            "1:139: the secret is missing; set secretAccessKey or secretAccessKeyFile",
        ],
    );
}

#[test]
fn secrets_are_not_shown() {
    check(
        "server:\n  tokens: hunter2",
        &["2:11: expected a list, found other text"],
    );
    check(
        "server:\n  credentials: hunter2",
        &["2:16: expected a list, found other text"],
    );
    check(
        "server:\n  credentials: [hunter2]",
        &["2:17: expected a map, found other text"],
    );
    check(
        "server:\n  credentials: [{ accessKeyId: [a], secretAccessKey: { hunter2: a } }]",
        &[
            "2:32: expected text, found a list",
            "2:54: expected text, found a map",
        ],
    );
    check(
        "server:\n  tls: hunter2",
        &["2:8: expected a map, found other text"],
    );
    check(
        "server:\n  tls: { cert: hunter2, key: hunter2 }",
        &[
            "2:16: the file cannot be read: No such file or directory (os error 2); a relative path begins at .",
            "2:30: the file cannot be read: No such file or directory (os error 2); a relative path begins at .",
        ],
    );
    check(
        "server:\n  tls: { cert: 'hunter2\n\n   hunter2', key: '-----BEGIN hunter2' }",
        &[
            "2:16: expected the path of a file, or PEM text that begins with -----BEGIN",
            "4:19: this is no well-formed PEM: what begins with -----BEGIN must end with -----END, with base64 between",
        ],
    );
    check(
        "server:\n  store: rediss:/user:hunter2@h",
        &[
            "2:10: expected memory, or a URL that begins with redis://, rediss://, redis+sentinel:// or redis+cluster://, found other text",
        ],
    );
    check(
        "server:\n  tokens: ['hunter 2']",
        &["2:12: a token consists of visible ASCII characters without spaces"],
    );
    check(
        "lambda: { credentials: hunter2, functions: { f: { endpoint: http://h, headers: hunter2 } } }",
        &[
            "1:24: expected a map, found other text",
            "1:80: expected a map, found other text",
        ],
    );
}

#[test]
fn server_options() {
    server(
        "listen: foo",
        &["2:11: expected an IP address and port such as 127.0.0.1:8080, found 'foo'"],
    );
    server(
        "listen: :8080",
        &[
            "2:11: expected an IP address and port such as 127.0.0.1:8080, found ':8080'; name the address too: 127.0.0.1 for this machine, 0.0.0.0 for all",
        ],
    );
    server(
        "listen: 8080",
        &[
            "2:11: expected an IP address and port such as 127.0.0.1:8080, found '8080'; name the address too: 127.0.0.1 for this machine, 0.0.0.0 for all",
        ],
    );
    server(
        "listen: localhost:8080",
        &[
            "2:11: expected an IP address and port such as 127.0.0.1:8080, found 'localhost:8080'; write 127.0.0.1 for localhost",
        ],
    );
    server(
        "listen: [1]",
        &["2:11: expected an IP address and port such as 127.0.0.1:8080, found a list"],
    );
    server(
        "listen: 127.0.0.1",
        &[
            "2:11: expected an IP address and port such as 127.0.0.1:8080, found '127.0.0.1'; add the port",
        ],
    );
    server(
        "lisen: 127.0.0.1:1",
        &["2:3: unknown key 'lisen'; did you mean 'listen'?"],
    );
    server(
        "listen: 127.0.0.1:8081",
        &["2:11: two listeners cannot share a port: server.managementListen has 127.0.0.1:8081"],
    );
    server(
        "listen: 0.0.0.0:1\n  managementListen: 127.0.0.1:1",
        &["3:21: two listeners cannot share a port: server.listen has 0.0.0.0:1"],
    );
    server(
        "managementListen: 0.0.0.0:8081",
        &[
            "2:21: the management listener at 0.0.0.0:8081 can be reached from other machines and needs credentials; set server.credentials or server.tokens, or bind it to 127.0.0.1",
        ],
    );
    server(
        "managementListen: 192.0.2.1:8081\n  tokens: ['a b']",
        &["3:12: a token consists of visible ASCII characters without spaces"],
    );
    server(
        "publicHost: http://a",
        &[
            "2:15: expected a host name such as ws.example.com or localhost:8080, found 'http://a'; leave out the scheme",
        ],
    );
    server("hostnames: a", &["2:14: expected a list, found 'a'"]);
    server(
        "hostnames: [a:1]",
        &["2:15: expected a host name such as ws.example.com, found 'a:1'; leave out the port"],
    );
    server(
        "baseDomain: a/b",
        &["2:15: expected a host name such as ws.example.com, found 'a/b'"],
    );
    server(
        "managementUrl: h",
        &["2:18: expected a URL such as https://manage.example.com, found 'h'"],
    );
    server(
        "managementUrl: http://u:p@h",
        &["2:18: this URL cannot have a query, a fragment or a user name"],
    );
    server(
        "defaultApi: chat",
        &["2:15: there is no API 'chat'; none is defined"],
    );
    server("region: ''", &["2:11: this cannot be empty"]);
    server(
        "accountId: 12",
        &["2:14: expected an account number of twelve digits, found '12'"],
    );
    server(
        "tls: { required: maybe }",
        &[
            "2:8: 'cert' is missing",
            "2:8: 'key' is missing",
            "2:20: expected true or false, found other text",
        ],
    );
    server(
        "credentials: [{ accessKeyId: a }]",
        &["2:17: the secret is missing; set secretAccessKey or secretAccessKeyFile"],
    );
    server(
        "credentials: [{ secretAccessKey: a }]",
        &["2:17: 'accessKeyId' is missing"],
    );
    server(
        "credentials: [{ accessKeyId: a, secretAccessKeyFile: /nonexistent }]",
        &["2:56: /nonexistent cannot be read: No such file or directory (os error 2)"],
    );
    server(
        "credentials: [{ accessKeyId: a, secretAccessKey: a, secretAccessKeyFile: a }]",
        &["2:76: secretAccessKey and secretAccessKeyFile stand here together; keep one"],
    );
    server(
        "credentials: [{ accessKeyId: a, secretAccessKey: a, sessionToken: b, sessionTokenFile: c }]",
        &["2:90: sessionToken and sessionTokenFile stand here together; keep one"],
    );
    for bad in ["tomorrow", "2026-11-21", "2026-02-30T00:00:00Z", "1"] {
        server(
            &format!("credentials: [{{ accessKeyId: a, secretAccessKey: a, expiration: {bad} }}]"),
            &["2:67: expected a time such as 2026-11-21T08:55:43Z, found other text"],
        );
    }
    server(
        "credentials: [{ accessKeyId: a, secretAccessKey: b }, { accessKeyId: a, secretAccessKey: c }]",
        &["2:57: 'a' stands here twice"],
    );
    server(
        "tokens: [{ file: / }]",
        &["2:20: / cannot be read: it is a folder"],
    );
    server(
        "tokens: [{ fil: / }]",
        &[
            "2:12: 'file' is missing",
            "2:14: unknown key 'fil'; did you mean 'file'?",
        ],
    );
    server(
        "trustedProxies: [10.0.0.1/8]",
        &[
            "2:20: expected an address or a network such as 10.0.0.0/8, found '10.0.0.1/8'; the address has bits beyond the number after /",
        ],
    );
    server(
        "trustedProxies: [a, 10.0.0.0/33]",
        &[
            "2:20: expected an address or a network such as 10.0.0.0/8, found 'a'",
            "2:23: expected an address or a network such as 10.0.0.0/8, found '10.0.0.0/33'; the number after / is at most 32 for IPv4 and 128 for IPv6",
        ],
    );
    server(
        "store: redis://h",
        &[
            "2:10: nodes that share a store must know a secret by which they believe each other; set server.cluster.secret \
             (WIREGATE_CLUSTER_SECRET) to the same 32 characters or more on each, as `openssl rand -hex 32` makes them",
        ],
    );
    server(
        "nodeListen: 127.0.0.1:1",
        &["2:15: nodeListen is of use only with a Redis store; set server.store or leave it out"],
    );
    server(
        "cluster: { secret: short, advertise: node-1, lease: 100ms, onIsolation: wait, outboxRate: 0, x: 1 }",
        &[
            "2:22: the secret of a cluster has 32 characters at least; `openssl rand -hex 32` makes one",
            "2:40: the port is missing, as in node-1.internal:8082",
            "2:55: a lease lasts from 1s to 10m",
            "2:75: expected one of hold, close, found 'wait'",
            "2:93: expected a whole number of at least 1, found '0'",
            "2:96: unknown key 'x'; the keys here are: secret, advertise, tls, lease, onIsolation, outboxRate and outboxMaxAge",
        ],
    );
    let secret = "cluster: { secret: 0123456789abcdef0123456789abcdef }";
    server(
        &format!("{secret}\n  store: redis://h\n  nodeListen: 0.0.0.0:1"),
        &[
            "4:15: the other nodes cannot reach this one at an address that means every address; set \
             server.cluster.advertise to the host and port at which they do",
        ],
    );
    server(
        "onStoreDown: maybe",
        &["2:16: expected one of accept, refuse, found 'maybe'"],
    );
    server(
        "drainTimeout: 25",
        &[
            "2:17: expected a duration such as 250ms, 10m or 1h30m, found '25'; add a unit: ms, s, m, h or d",
        ],
    );
    server(
        "drainTimeout: fast",
        &["2:17: expected a duration such as 250ms, 10m or 1h30m, found 'fast'"],
    );
    server(
        "handshakeTimeout: 0",
        &["2:21: this duration cannot be turned off; it must be more than 0"],
    );
    server(
        "maxHandshakes: 0",
        &["2:18: expected a whole number of at least 1, found '0'"],
    );
    server(
        "workers: 99999",
        &["2:12: expected a whole number from 0 to 1024, found '99999'"],
    );
    server(
        "watch: yes",
        &["2:10: expected true or false, found 'yes'; write true"],
    );
    server(
        "log: { level: loud }",
        &["2:17: expected one of error, warn, info, debug, trace, found 'loud'"],
    );
    server(
        "log: { levle: info }",
        &["2:10: unknown key 'levle'; did you mean 'level'?"],
    );
    server(
        "domains: [{ domainName: h, mappings: [{ api: chat, stage: dev }] }]",
        &["2:48: there is no API 'chat'; none is defined"],
    );
    server(
        "domains: [{}]",
        &[
            "2:13: 'domainName' is missing",
            "2:13: 'mappings' is missing",
        ],
    );
    server("domains: {}", &["2:12: expected a list, found a map"]);
}

#[test]
fn domains_section() {
    domains(
        "domains: [{ domainName: ws.example.com, mappings: [{ api: chat, stage: prod }] }]",
        &["2:74: there is no stage 'prod'; there are: dev"],
    );
    domains(
        "domains: [{ domainName: ws.example.com, mappings: [{ api: chat, stage: dev }, { apiMappingKey: '', api: chat, stage: dev }] }]",
        &["2:81: '' stands here twice"],
    );
    domains(
        "domains: [{ domainName: 'ws.example.com:1', mappings: [{ apiMappingKey: a/b, api: caht, stage: dev }] }]",
        &[
            "2:27: expected a host name such as ws.example.com, found 'ws.example.com:1'; leave out the port",
            "2:75: expected one segment of a path without slashes, found 'a/b'",
            "2:85: there is no API 'caht'; did you mean 'chat'?",
        ],
    );
    domains(
        "domains: [{ domainName: a, mappings: [] }, { domainName: A, mappings: [] }]",
        &["2:60: 'a' stands here twice"],
    );
}

#[test]
fn apis() {
    api(
        "routes: { $conect: http://h }",
        &["3:15: route key '$conect' cannot begin with $; did you mean '$connect'?"],
    );
    api(
        "routes: { $foo: http://h }",
        &[
            "3:15: route key '$foo' cannot begin with $; $connect, $disconnect and $default are the only ones",
        ],
    );
    api(
        "routes: { echo: ftp://h }",
        &[
            "3:21: expected a URL (http://…) or the ARN of a Lambda function (arn:aws:lambda:…), found 'ftp://h'",
        ],
    );
    api(
        "routes: { '': http://h }",
        &["3:15: a route key cannot be empty"],
    );
    api(
        "routes: { echo: { target: x, integration: http://h } }",
        &["3:31: target and integration stand here together; keep one"],
    );
    api(
        "routes: { echo: { target: integrations/x } }",
        &["3:31: there is no integration 'x'; none is defined"],
    );
    api(
        "integrations: { one: http://h }\n    routes: { echo: { target: integrations/on }, b: { target: one } }",
        &[
            "4:31: there is no integration 'on'; did you mean 'one'?",
            "4:63: expected integrations/ and an id, found 'one'; write integrations/one",
        ],
    );
    api(
        "integrations: { one: null }",
        &["3:21: this integration says nothing; set integrationUri"],
    );
    api(
        "integrations: { a b: http://h }",
        &["3:21: the id of an integration consists of up to 64 letters, digits, - and _"],
    );
    api(
        "integrations: { a: { integrationType: HTTP_PROXY } }",
        &["3:24: integrationUri is missing"],
    );
    api(
        "integrations: { a: { integrationMethod: GET } }",
        &["3:24: integrationType is missing"],
    );
    api(
        "integrations: { a: { integrationUri: http://h, integrationMethod: get } }",
        &["3:71: expected an HTTP method such as POST, found 'get'"],
    );
    api(
        "limits: { preset: fast }",
        &["3:23: expected one of open, aws, found 'fast'"],
    );
    api(
        "limits: { preset: aws }\n    routes: { a: { integration: { integrationUri: http://h, timeoutInMillis: 30000 } } }",
        &["4:78: expected a number of milliseconds from 50 to 29000, found '30000'"],
    );
    api(
        "routes: { a: { integration: { integrationUri: http://h, timeoutInMillis: 0 } } }",
        &["3:78: expected a number of milliseconds from 1 to 86400000, found '0'"],
    );
    api(
        "limits: { idleTimeout: 10, maxMessageBytes: 1Kb, concurrency: 0, pongTimeout: 0, maxAgeJitter: 1, binary: 1, messagesPerSecond: -1, controlFramesPerSecond: 0, maxQueueBytes: 0, maxFragments: 0, idelTimeout: 1m }",
        &[
            "3:28: expected a duration such as 250ms, 10m or 1h30m, found '10'; add a unit: ms, s, m, h or d",
            "3:49: expected a size such as 128KiB, 1MiB or a number of bytes, found '1Kb'; the units are B, KiB, MiB, GiB, KB, MB and GB",
            "3:67: expected a whole number of at least 1, found '0'",
            "3:83: this duration cannot be turned off; it must be more than 0",
            "3:100: expected a share from 0 to less than 1, such as 0.1, found '1'",
            "3:111: expected true or false, found '1'; write true",
            "3:133: expected a number of at least 0, found '-1'",
            "3:161: this rate cannot be turned off; it must be more than 0",
            "3:179: this size cannot be turned off; it must be more than 0",
            "3:196: expected a whole number of at least 1, found '0'",
            "3:199: unknown key 'idelTimeout'; did you mean 'idleTimeout'?",
        ],
    );
    api(
        "routes: { a: { authorizationType: AWS_IAM } }",
        &["3:39: this authorization is not built yet; authorizationType must be NONE or CUSTOM"],
    );
    api(
        "routes: { a: { authorizationType: CUSTOM } }",
        &["3:18: authorizationType CUSTOM needs authorizerId"],
    );
    api(
        "routes: { a: { authorizationType: NONE, authorizerId: x } }",
        &["3:59: there is no authorizer 'x'; none is defined"],
    );
    api(
        "authorizers: { x: http://h/ }\n    routes: { $connect: { authorizerId: x } }",
        &[
            "4:41: authorizerId says nothing without authorizationType: CUSTOM asks the authorizer, NONE lets everybody in",
        ],
    );
    api(
        "routes: { a: { apiKeyRequired: true, modelSelectionExpression: x, routeResponseSelectionExpression: default } }",
        &[
            "3:36: API keys are not built yet; apiKeyRequired must be false",
            "3:68: validation by models is not built yet; leave out modelSelectionExpression",
            "3:105: expected $default, found 'default'",
        ],
    );
    api(
        "protocolType: HTTP",
        &["3:19: HTTP APIs are not built yet; protocolType must be WEBSOCKET"],
    );
    api(
        "protocolType: GRPC",
        &["3:19: expected one of WEBSOCKET, HTTP, found 'GRPC'"],
    );
    api(
        "stages: { a.b: {} }",
        &["3:15: 'a.b' is no name of a stage: up to 128 letters, digits, - and _, or $default"],
    );
    api(
        "stages: [a, a]",
        &["3:17: duplicate stageName 'a', first written in line 3"],
    );
    api(
        "stages: { dev: { stageVariables: { a-b: x, c: [1] }, routeSettings: { x: {} } } }",
        &[
            "3:45: the name of a stage variable consists of letters, digits and _",
            "3:51: expected text, found a list",
            "3:78: there is no route 'x'; none is defined",
        ],
    );
    api(
        "allowedOrigins: ['*', https://a/]",
        &[
            "3:22: expected an origin such as https://app.example.com, found '*'; without allowedOrigins every origin may connect",
            "3:27: expected an origin such as https://app.example.com, found 'https://a/'; leave out the slash at its end",
        ],
    );
    api(
        "authorizers: { a: ftp://h, b: }",
        &[
            "3:23: expected a URL (http://…) or the ARN of a Lambda function (arn:aws:lambda:…), found 'ftp://h'",
            "3:32: this authorizer says nothing; set authorizerUri",
        ],
    );
    api(
        "routes: { a: { requestParameters: { x: maybe, y: { requred: true } } } }",
        &[
            "3:44: expected true or false, found 'maybe'",
            "3:56: unknown key 'requred'; did you mean 'required'?",
        ],
    );
    api(
        "routes: { a: { routeResponses: [x] } }",
        &["3:37: route response key 'x' is not $default"],
    );
    api(
        "routes: { a: { integration: { integrationType: MOCK, integrationResponses: { $default: { responseTemplate: {} } }, passthroughBehavior: never, contentHandlingStrategy: x, httpVersion: 3, maxInFlight: 0 } } }",
        &[
            "3:94: unknown key 'responseTemplate'; did you mean 'responseTemplates'?",
            "3:141: expected one of WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER, found 'never'",
            "3:173: expected one of CONVERT_TO_BINARY, CONVERT_TO_TEXT, found 'x'",
            "3:189: expected one of auto, 1.1, 2, found '3'",
            "3:205: expected a whole number of at least 1, found '0'",
        ],
    );
}
