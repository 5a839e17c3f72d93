"""The service model that botocore brings along, as the judge of every operation of `apigatewayv2`.

Each operation that is served is called rightly, with ids that are not there, with every member wrong in every way that the model
knows, and where something is in its way. Requests go out raw, since a client refuses much of that itself; each answer is held
against the shapes of the model. Prints a table of operations and what was tried; fails where a cell is wrong.
"""

import http.client
import itertools
import json
import os
import re
import sys
from urllib.parse import urlencode, urlsplit

import botocore.session
from botocore.serialize import create_serializer
from botocore.utils import parse_timestamp

ADDRESS = urlsplit(os.environ["ENDPOINT"]).netloc
BACKEND = os.environ["BACKEND"]
INVOKE = (
    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:us-east-1:123456789012:function:f/invocations"
)

MODEL = botocore.session.get_session().get_service_model("apigatewayv2")
SERIALIZER = create_serializer("rest-json", include_validation=False)

# What the model does not declare, and AWS answers all the same (or, of deployments and stages, its older API does).
UNDECLARED = {
    ("DeleteIntegration", "ConflictException"),
    ("DeleteAuthorizer", "ConflictException"),
    ("DeleteModel", "ConflictException"),
    ("DeleteDeployment", "BadRequestException"),
    ("DeleteStage", "BadRequestException"),
}

# Operations that Wiregate has not; each must say so in a shape that clients know.
UNSERVED = {
    *(name for name in MODEL.operation_names if "Portal" in name or "Product" in name),
    *(name for name in MODEL.operation_names if "RoutingRule" in name),
    "ExportApi", "ImportApi", "ReimportApi",
}

# Members that tell the server to do something, and are not kept.
PASSING = {("CreateDeployment", "stageName"), ("CreateApi", "target"), ("CreateApi", "routeKey"), ("CreateApi", "credentialsArn")}

# Members of the input that only the server writes: what a client says of them, having read it, is passed over.
READ_ONLY = {"apiGatewayDomainName", "certificateUploadDate", "domainNameStatus", "domainNameStatusMessage", "hostedZoneId"}

failures = []
counts = itertools.count(1)
tried = 0


def complain(operation, what):
    failures.append(f"{operation}: {what}")
    print("WRONG", failures[-1], file=sys.stderr, flush=True)


# ---- the wire

class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()

    @property
    def body(self):
        return json.loads(self.raw) if self.raw else None

    @property
    def shape(self):
        return self.headers.get("x-amzn-ErrorType")

    def __repr__(self):
        return f"{self.status} {self.shape} {self.raw[:300]!r}"


connection = http.client.HTTPConnection(ADDRESS, timeout=30)


def exchange(method, path, body=b""):
    global tried
    tried += 1
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body or None, headers)
    return Answer(connection.getresponse())


def operation(name):
    return MODEL.operation_model(name)


def wire(name, params):
    """Method, path with query, and the body's members, as botocore would send them."""
    request = SERIALIZER.serialize_to_request(params, operation(name))
    query = request["query_string"]
    path = request["url_path"] + ("?" + urlencode(query, doseq=True) if query else "")
    body = request["body"]
    return request["method"], path, json.loads(body) if body else {}


def call(name, **params):
    method, path, body = wire(name, params)
    sent = json.dumps(body).encode() if method in ("POST", "PATCH", "PUT") else b""
    return exchange(method, path, sent)


def made(name, **params):
    """What a right call answers, as the model reads it: for what a case needs around it."""
    answer = call(name, **params)
    assert answer.status == operation(name).http["responseCode"], f"{name} {params}: {answer}"
    return answer.body


# ---- answers against the model

def judge(name, answer):
    """What is wrong with an answer that should be the right one."""
    model = operation(name)
    if answer.status != model.http["responseCode"]:
        return [f"answered {answer}, not {model.http['responseCode']}"]
    wrong = judge_headers(answer)
    if answer.shape is not None:
        wrong.append(f"an error type in {answer}")
    if model.output_shape is None or answer.status == 204:
        return wrong + ([f"a body in {answer}"] if answer.raw else [])
    return wrong + fits(model.output_shape, answer.body, "answer")


def judge_headers(answer):
    wrong = []
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers.get("x-amzn-RequestId", "")):
        wrong.append(f"no request id in {dict(answer.headers)}")
    if answer.raw and answer.headers.get("Content-Type") != "application/json":
        wrong.append(f"the content type {answer.headers.get('Content-Type')}")
    if answer.raw and answer.headers.get("Content-Length") != str(len(answer.raw)):
        wrong.append(f"the length {answer.headers.get('Content-Length')} of {len(answer.raw)} bytes")
    return wrong


def fits(shape, value, at):
    """What keeps a value from being of a shape: members unknown or missing, types, choices, bounds, times."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{at} is {value!r}, no structure"]
        names = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        wrong = [f"{at}.{key} is not in {shape.name}" for key in value if key not in names]
        given = {names[key][0] for key in value if key in names}
        wrong += [f"{at} has no {name}" for name in shape.required_members if name not in given]
        for key, (_, member) in names.items():
            if key in value:
                wrong += fits(member, value[key], f"{at}.{key}")
        return wrong
    if kind == "list":
        if not isinstance(value, list):
            return [f"{at} is {value!r}, no list"]
        return [flaw for number, item in enumerate(value) for flaw in fits(shape.member, item, f"{at}[{number}]")]
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{at} is {value!r}, no map"]
        return [flaw for key, item in value.items() for flaw in fits(shape.value, item, f"{at}.{key}")]
    if kind == "boolean":
        return [] if isinstance(value, bool) else [f"{at} is {value!r}, no boolean"]
    if kind in ("integer", "long"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return bounded(shape, value, at) if whole else [f"{at} is {value!r}, no integer"]
    if kind in ("double", "float"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if number else [f"{at} is {value!r}, no number"]
    if not isinstance(value, str):
        return [f"{at} is {value!r}, no text"]
    if kind == "timestamp":
        return of_time(value, at)
    if getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{at} is {value!r}, not one of {shape.enum}"]
    return bounded(shape, len(value), at)


def bounded(shape, size, at):
    least, most = bounds(shape)
    return [] if least <= size <= most else [f"{at} has {size}, not {least} to {most}"]


def bounds(shape):
    """The model writes bounds as such, or into a shape's name."""
    named = re.search(r"Between(Negative)?(\d+)And(\d+)(K?)", shape.name)
    least, most = (float("-inf"), float("inf"))
    if named:
        least, most = int(named[2]) * (-1 if named[1] else 1), int(named[3]) * (1024 if named[4] else 1)
    return shape.metadata.get("min", least), shape.metadata.get("max", most)


def of_time(value, at):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", value):
        return [f"{at} is {value!r}, no ISO 8601 time"]
    parse_timestamp(value)
    return []


def judge_refusal(name, answer, status, shapes):
    wrong = judge_headers(answer)
    if answer.status != status or answer.shape not in shapes:
        return wrong + [f"answered {answer}, not {status} {' or '.join(sorted(shapes))}"]
    declared = {error.name for error in operation(name).error_shapes} | {"SerializationException"}
    if answer.shape not in declared and (name, answer.shape) not in UNDECLARED:
        wrong.append(f"{answer.shape} is not among its errors")
    message = answer.body.get("message") if isinstance(answer.body, dict) else None
    if not isinstance(message, str) or not message:
        wrong.append(f"no message in {answer}")
    return wrong


# ---- wrong requests

def wrong_values(shape):
    """Values that are not of the shape, each with what is wrong."""
    kind = shape.type_name
    least, most = bounds(shape)
    if kind == "structure":
        yield from ((value, "no structure") for value in ("x", [1], 7))
        for name, member in shape.members.items():
            key = member.serialization.get("name", name)
            if key not in READ_ONLY:
                yield from (({key: value}, f"{key}: {why}") for value, why in wrong_values(member))
    elif kind == "list":
        yield from ((value, "no list") for value in ("x", {"x": "y"}, 7))
        yield from (([value], f"an item: {why}") for value, why in wrong_values(shape.member))
    elif kind == "map":
        yield from ((value, "no map") for value in ("x", [1], 7))
        yield from (({"k": value}, f"a value: {why}") for value, why in wrong_values(shape.value))
    elif kind == "boolean":
        yield from ((value, "no boolean") for value in ("maybe", 7, {"x": 1}, [True]))
    elif kind in ("integer", "long"):
        yield from ((value, "no integer") for value in ("many", 1.5, True, {"x": 1}))
        if least > float("-inf"):
            yield least - 1, "too small"
        if most < float("inf"):
            yield most + 1, "too large"
        yield 10**30, "beyond all bounds"
    elif kind in ("double", "float"):
        yield from ((value, "no number") for value in ("many", True, {"x": 1}))
    elif kind == "string":
        yield from ((value, "no text") for value in (7, True, {"x": "y"}, ["x"]))
        if getattr(shape, "enum", None):
            yield "NOSUCH", "no choice"
        if most < float("inf"):
            yield "x" * (most + 1), "too long"


ODD = ["\x00", "${", "$.", "$request.body[", "${stageVariables.", "../../..", "\u202e😀", "%", "'", '"', "#foreach(", "x" * 200_000]


def odd_values(shape):
    """Texts that may be legal, and must not break anything."""
    kind = shape.type_name
    if kind == "structure":
        for name, member in shape.members.items():
            key = member.serialization.get("name", name)
            yield from ({key: value} for value in odd_values(member))
    elif kind == "list":
        yield from ([value] for value in odd_values(shape.member))
    elif kind == "map":
        yield from ({"k": value} for value in odd_values(shape.value))
        if shape.value.type_name == "string":
            yield from ({key: "x"} for key in ODD)
    elif kind == "string" and not getattr(shape, "enum", None):
        yield from ODD


BROKEN = [b"{", b"[1]", b'"x"', b"7", b"null", b"\xff\xfe", b'{"name":"\xff"}', b"[" * 100_000, b'{"name":1e999999}', b"{} {}"]


def in_body(name):
    """Members of the input that stand in its body, by their names there."""
    shape = operation(name).input_shape
    members = shape.members.items() if shape else ()
    return {
        member.serialization.get("name", member_name): (member_name, member)
        for member_name, member in members
        if "location" not in member.serialization
    }


def at(name, where):
    shape = operation(name).input_shape
    members = shape.members.items() if shape else ()
    return [member_name for member_name, member in members if member.serialization.get("location") == where]


def wrong_requests(name, params):
    """Requests that break one rule of the model each: method, path, body, what is wrong."""
    method, path, body = wire(name, params)
    required = operation(name).input_shape.required_members if operation(name).input_shape else ()
    for key, (member, shape) in in_body(name).items():
        for value, why in wrong_values(shape):
            yield method, path, {**body, key: value}, f"{key}={json.dumps(value)[:40]} ({why})"
        if member in required:
            yield method, path, {k: v for k, v in body.items() if k != key}, f"without {key}"
    for member in at(name, "querystring"):
        bad = {"MaxResults": ["x", "0", "-1", "1.5", "99999999999999999999"], "NextToken": ["%", "ÿ", "x" * 9]}.get(member, [])
        for value in bad:
            # A token that decodes is a place in the list, whatever it is.
            if member == "NextToken" and value == "x" * 9:
                continue
            wrong = wire(name, {**params, member: value})
            yield wrong[0], wrong[1], {}, f"{member}={value}"
        if member in required:
            short = wire(name, {k: v for k, v in params.items() if k != member})
            yield short[0], short[1], {}, f"without {member}"
    if "ResourceArn" in params:
        for arn in ("x", "arn:aws:s3:::bucket", "arn:aws:apigateway:us-east-1::/restapis/x", "arn:aws:apigateway:us-east-1::"):
            wrong = wire(name, {**params, "ResourceArn": arn})
            yield wrong[0], wrong[1], wrong[2], f"ResourceArn={arn}"


# ---- what each operation is called with

def world():
    """Something of every kind, made for one case."""
    number = next(counts)
    w = {"n": number, "domain": f"d{number}.example.com"}
    w["api"] = made(
        "CreateApi", Name="oracle", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action", Tags={"a": "b"},
    )["apiId"]
    w["http"] = made("CreateApi", Name="oracle", ProtocolType="HTTP", CorsConfiguration={"MaxAge": 1})["apiId"]
    api = {"ApiId": w["api"]}
    w["integration"] = made("CreateIntegration", **api, IntegrationType="MOCK")["integrationId"]
    w["spare_integration"] = made("CreateIntegration", **api, IntegrationType="MOCK")["integrationId"]
    integration = {**api, "IntegrationId": w["integration"]}
    w["integration_response"] = made("CreateIntegrationResponse", **integration, IntegrationResponseKey="/200/")["integrationResponseId"]
    made("CreateIntegrationResponse", **integration, IntegrationResponseKey="$default")
    w["model"] = made("CreateModel", **api, Name="Used", Schema='{"type":"object"}')["modelId"]
    w["spare_model"] = made("CreateModel", **api, Name="Spare", Schema="{}")["modelId"]
    authorizer = {"AuthorizerType": "REQUEST", "AuthorizerUri": INVOKE, "IdentitySource": ["route.request.header.A"]}
    w["authorizer"] = made("CreateAuthorizer", **api, Name="used", **authorizer)["authorizerId"]
    w["spare_authorizer"] = made("CreateAuthorizer", **api, Name="spare", **authorizer)["authorizerId"]
    w["connect"] = made(
        "CreateRoute", **api, RouteKey="$connect", AuthorizationType="CUSTOM", AuthorizerId=w["authorizer"],
        RequestParameters={"route.request.querystring.token": {"Required": True}},
    )["routeId"]
    w["route"] = made(
        "CreateRoute", **api, RouteKey="used", Target="integrations/" + w["integration"], RequestModels={"x": "Used"},
    )["routeId"]
    w["route_response"] = made("CreateRouteResponse", **api, RouteId=w["route"], RouteResponseKey="$default")["routeResponseId"]
    w["deployment"] = made("CreateDeployment", **api, Description="first")["deploymentId"]
    w["spare_deployment"] = made("CreateDeployment", **api)["deploymentId"]
    made(
        "CreateStage", **api, StageName="prod", DeploymentId=w["deployment"], RouteSettings={"used": {"ThrottlingBurstLimit": 1}},
        AccessLogSettings={"DestinationArn": "arn:x", "Format": "$context.requestId"},
    )
    made("CreateStage", **api, StageName="spare")
    made("CreateDomainName", DomainName=w["domain"])
    mapping = {"DomainName": w["domain"], **api, "Stage": "prod"}
    w["mapping"] = made("CreateApiMapping", **mapping, ApiMappingKey="a")["apiMappingId"]
    made("CreateApiMapping", **mapping, ApiMappingKey="b")
    w["link"] = made("CreateVpcLink", Name="link", SubnetIds=["subnet-1"])["vpcLinkId"]
    w["arn"] = f"arn:aws:apigateway:us-east-1::/apis/{w['api']}"
    return w


def end(w):
    for name, params in (
        ("DeleteDomainName", {"DomainName": w["domain"]}),
        ("DeleteApi", {"ApiId": w["api"]}),
        ("DeleteApi", {"ApiId": w["http"]}),
        ("DeleteVpcLink", {"VpcLinkId": w["link"]}),
    ):
        answer = call(name, **params)
        assert answer.status in (202, 204, 404), answer


def everything(w):
    """All that the world shows, to see that a refusal changed nothing."""
    api = {"ApiId": w["api"]}
    seen = {"apis": made("GetApis"), "domains": made("GetDomainNames"), "links": made("GetVpcLinks")}
    for name in ("GetRoutes", "GetIntegrations", "GetModels", "GetAuthorizers", "GetDeployments", "GetStages"):
        seen[name] = made(name, **api)
    seen["routeresponses"] = made("GetRouteResponses", **api, RouteId=w["route"])
    seen["integrationresponses"] = made("GetIntegrationResponses", **api, IntegrationId=w["integration"])
    seen["mappings"] = made("GetApiMappings", DomainName=w["domain"])
    return seen


class Case:
    """`happy`: parameters that work, several sets of them; `conflict`: what something is in the way of, and the refusal."""

    def __init__(self, *happy, conflict=None, refusal=(409, "ConflictException")):
        self.happy = happy
        self.conflict = conflict
        self.refusal = refusal


SETTINGS = {
    "DataTraceEnabled": True, "DetailedMetricsEnabled": True, "LoggingLevel": "INFO", "ThrottlingBurstLimit": 5,
    "ThrottlingRateLimit": 10.5,
}
CORS = {
    "AllowCredentials": False, "AllowHeaders": ["x-a"], "AllowMethods": ["GET"], "AllowOrigins": ["https://a.example"],
    "ExposeHeaders": ["x-b"], "MaxAge": 60,
}
CERTIFICATE = {
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/x", "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2",
}
JWT = {
    "AuthorizerType": "JWT", "IdentitySource": ["$request.header.Authorization"],
    "JwtConfiguration": {"Audience": ["a"], "Issuer": "https://issuer.example"},
}
REQUEST = {
    "AuthorizerType": "REQUEST", "AuthorizerUri": INVOKE, "AuthorizerCredentialsArn": "arn:aws:iam::123456789012:role/r",
    "IdentitySource": ["route.request.header.A", "context.identity.sourceIp"], "IdentityValidationExpression": ".*",
}
API = {
    "Name": "n" * 128, "Description": "d" * 1024, "Version": "v" * 64, "DisableExecuteApiEndpoint": False, "IpAddressType": "ipv4",
}


def api(w):
    return {"ApiId": w["api"]}


def below(member, key):
    return lambda w: {"ApiId": w["api"], member: w[key]}


def stage(w):
    return {"ApiId": w["api"], "StageName": "prod"}


def domain(w):
    return {"DomainName": w["domain"]}


def integrations(w):
    return {
        "ApiId": w["api"], "IntegrationType": "HTTP", "IntegrationMethod": "POST", "IntegrationUri": BACKEND + "/x",
        "Description": "d", "ConnectionType": "INTERNET", "ContentHandlingStrategy": "CONVERT_TO_TEXT",
        "CredentialsArn": "arn:aws:iam::123456789012:role/r", "PassthroughBehavior": "NEVER", "PayloadFormatVersion": "1.0",
        "RequestParameters": {"integration.request.header.x": "context.connectionId"}, "RequestTemplates": {"$default": "{}"},
        "TemplateSelectionExpression": "\\$default", "TimeoutInMillis": 50,
    }


def route_of(w):
    return {
        "ApiId": w["api"], "RouteKey": "new", "Target": "integrations/" + w["integration"], "ApiKeyRequired": True,
        "AuthorizationType": "NONE", "ModelSelectionExpression": "$request.body.x", "OperationName": "op",
        "RequestModels": {"x": "Used"}, "RouteResponseSelectionExpression": "$default",
    }


def response_of(w):
    return {
        "ApiId": w["api"], "IntegrationId": w["integration"], "IntegrationResponseKey": "/4\\d\\d/",
        "ContentHandlingStrategy": "CONVERT_TO_TEXT", "ResponseTemplates": {"x": ""}, "TemplateSelectionExpression": "\\$default",
        "ResponseParameters": {"method.response.header.X": "integration.response.header.X"},
    }


def stage_of(w, name):
    return {
        "ApiId": w["api"], "StageName": name, "DeploymentId": w["spare_deployment"], "Description": "d",
        "DefaultRouteSettings": SETTINGS, "RouteSettings": {"used": SETTINGS}, "StageVariables": {"a": "b", "url": "http://x:1/y?z=1,2"},
        "AccessLogSettings": {"DestinationArn": "arn:x", "Format": "$context.requestId"}, "ClientCertificateId": "c",
    }


def mapping_of(w, key):
    return {"DomainName": w["domain"], "ApiId": w["api"], "Stage": "prod", "ApiMappingKey": key}


CASES = {
    "CreateApi": Case(
        lambda w: {
            **API, "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action",
            "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey", "DisableSchemaValidation": True, "Tags": {"t": "v"},
        },
        lambda w: {**API, "ProtocolType": "HTTP", "CorsConfiguration": CORS, "Tags": {"t": "v"}},
        lambda w: {
            "Name": "q", "ProtocolType": "HTTP", "Target": BACKEND + "/q", "RouteKey": "GET /q",
            "CredentialsArn": "arn:aws:iam::123456789012:role/r",
        },
    ),
    "CreateApiMapping": Case(lambda w: mapping_of(w, "new"), conflict=lambda w: mapping_of(w, "a")),
    "CreateAuthorizer": Case(
        lambda w: {**api(w), "Name": "new", **REQUEST},
        lambda w: {"ApiId": w["http"], "Name": "jwt", **JWT},
        lambda w: {
            "ApiId": w["http"], "Name": "request", "AuthorizerType": "REQUEST", "AuthorizerUri": INVOKE, "IdentitySource": [],
            "AuthorizerPayloadFormatVersion": "2.0", "AuthorizerResultTtlInSeconds": 3600, "EnableSimpleResponses": True,
        },
        conflict=lambda w: {**api(w), "Name": "used", **REQUEST},
    ),
    "CreateDeployment": Case(
        lambda w: {**api(w), "Description": "d"}, lambda w: {**api(w), "StageName": "prod"}, api,
    ),
    "CreateDomainName": Case(
        lambda w: {
            "DomainName": f"new{w['n']}.example.com", "DomainNameConfigurations": [CERTIFICATE], "Tags": {"t": "v"},
            "RoutingMode": "API_MAPPING_ONLY",
            "MutualTlsAuthentication": {"TruststoreUri": "s3://b/k", "TruststoreVersion": "1"},
        },
        lambda w: {"DomainName": f"*.w{w['n']}.example.com"},
        conflict=domain,
    ),
    "CreateIntegration": Case(
        integrations,
        lambda w: {**api(w), "IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "IntegrationUri": INVOKE},
        lambda w: {
            **api(w), "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "GET", "IntegrationUri": "http://10.0.0.1/",
            "ConnectionType": "VPC_LINK", "ConnectionId": w["link"],
        },
        lambda w: {
            "ApiId": w["http"], "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "ANY", "IntegrationUri": BACKEND,
            "PayloadFormatVersion": "1.0", "TimeoutInMillis": 30000, "TlsConfig": {"ServerNameToVerify": "x"},
            "ResponseParameters": {"200": {"overwrite:header.x": "y"}}, "RequestParameters": {"append:header.x": "y"},
        },
        lambda w: {
            "ApiId": w["http"], "IntegrationType": "AWS_PROXY", "IntegrationSubtype": "SQS-SendMessage",
            "PayloadFormatVersion": "1.0", "CredentialsArn": "arn:aws:iam::123456789012:role/r",
            "RequestParameters": {"QueueUrl": "x", "MessageBody": "y"},
        },
    ),
    "CreateIntegrationResponse": Case(
        response_of, conflict=lambda w: {**below("IntegrationId", "integration")(w), "IntegrationResponseKey": "/200/"},
    ),
    "CreateModel": Case(
        lambda w: {**api(w), "Name": "New", "ContentType": "application/json", "Description": "d", "Schema": '{"type":"object"}'},
        conflict=lambda w: {**api(w), "Name": "Used", "Schema": "{}"},
    ),
    "CreateRoute": Case(
        route_of,
        lambda w: {**api(w), "RouteKey": "bare"},
        lambda w: {"ApiId": w["http"], "RouteKey": "GET /pets/{id}", "AuthorizationType": "AWS_IAM"},
        conflict=lambda w: {**api(w), "RouteKey": "used"},
    ),
    "CreateRouteResponse": Case(
        lambda w: {
            "ApiId": w["api"], "RouteId": w["connect"], "RouteResponseKey": "$default", "ModelSelectionExpression": "$default",
            "ResponseModels": {"$default": "Used"}, "ResponseParameters": {"x": {"Required": True}},
        },
        conflict=lambda w: {"ApiId": w["api"], "RouteId": w["route"], "RouteResponseKey": "$default"},
    ),
    "CreateStage": Case(
        lambda w: {**stage_of(w, "new"), "Tags": {"t": "v"}},
        lambda w: {**api(w), "StageName": "auto", "AutoDeploy": True},
        lambda w: {"ApiId": w["http"], "StageName": "$default", "DefaultRouteSettings": {"ThrottlingBurstLimit": 1}},
        conflict=lambda w: {**api(w), "StageName": "prod"},
    ),
    "CreateVpcLink": Case(
        lambda w: {"Name": "new", "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "Tags": {"t": "v"}},
        lambda w: {"Name": "bare", "SubnetIds": []},
    ),
    "DeleteAccessLogSettings": Case(stage),
    "DeleteApi": Case(api, lambda w: {"ApiId": w["http"]}),
    "DeleteApiMapping": Case(lambda w: {"DomainName": w["domain"], "ApiMappingId": w["mapping"]}),
    "DeleteAuthorizer": Case(below("AuthorizerId", "spare_authorizer"), conflict=below("AuthorizerId", "authorizer")),
    "DeleteCorsConfiguration": Case(lambda w: {"ApiId": w["http"]}),
    "DeleteDeployment": Case(
        below("DeploymentId", "spare_deployment"), conflict=below("DeploymentId", "deployment"), refusal=(400, "BadRequestException"),
    ),
    "DeleteDomainName": Case(domain),
    "DeleteIntegration": Case(below("IntegrationId", "spare_integration"), conflict=below("IntegrationId", "integration")),
    "DeleteIntegrationResponse": Case(
        lambda w: {**below("IntegrationId", "integration")(w), "IntegrationResponseId": w["integration_response"]},
    ),
    "DeleteModel": Case(below("ModelId", "spare_model"), conflict=below("ModelId", "model")),
    "DeleteRoute": Case(below("RouteId", "route")),
    "DeleteRouteRequestParameter": Case(
        lambda w: {**below("RouteId", "connect")(w), "RequestParameterKey": "route.request.querystring.token"},
    ),
    "DeleteRouteResponse": Case(lambda w: {**below("RouteId", "route")(w), "RouteResponseId": w["route_response"]}),
    "DeleteRouteSettings": Case(lambda w: {**stage(w), "RouteKey": "used"}),
    "DeleteStage": Case(
        lambda w: {"ApiId": w["api"], "StageName": "spare"}, conflict=stage, refusal=(400, "BadRequestException"),
    ),
    "DeleteVpcLink": Case(lambda w: {"VpcLinkId": w["link"]}),
    "GetApi": Case(api, lambda w: {"ApiId": w["http"]}),
    "GetApiMapping": Case(lambda w: {"DomainName": w["domain"], "ApiMappingId": w["mapping"]}),
    "GetApiMappings": Case(domain),
    "GetApis": Case(lambda w: {}),
    "GetAuthorizer": Case(below("AuthorizerId", "authorizer")),
    "GetAuthorizers": Case(api),
    "GetDeployment": Case(below("DeploymentId", "deployment")),
    "GetDeployments": Case(api),
    "GetDomainName": Case(domain),
    "GetDomainNames": Case(lambda w: {}),
    "GetIntegration": Case(below("IntegrationId", "integration")),
    "GetIntegrationResponse": Case(
        lambda w: {**below("IntegrationId", "integration")(w), "IntegrationResponseId": w["integration_response"]},
    ),
    "GetIntegrationResponses": Case(below("IntegrationId", "integration")),
    "GetIntegrations": Case(api),
    "GetModel": Case(below("ModelId", "model")),
    "GetModelTemplate": Case(below("ModelId", "model")),
    "GetModels": Case(api),
    "GetRoute": Case(below("RouteId", "connect"), below("RouteId", "route")),
    "GetRouteResponse": Case(lambda w: {**below("RouteId", "route")(w), "RouteResponseId": w["route_response"]}),
    "GetRouteResponses": Case(below("RouteId", "route")),
    "GetRoutes": Case(api),
    "GetStage": Case(stage),
    "GetStages": Case(api),
    "GetTags": Case(
        lambda w: {"ResourceArn": w["arn"]},
        lambda w: {"ResourceArn": w["arn"] + "/stages/prod"},
        lambda w: {"ResourceArn": f"arn:aws:apigateway:us-east-1::/domainnames/{w['domain']}"},
        lambda w: {"ResourceArn": f"arn:aws:apigateway:us-east-1::/vpclinks/{w['link']}"},
    ),
    "GetVpcLink": Case(lambda w: {"VpcLinkId": w["link"]}),
    "GetVpcLinks": Case(lambda w: {}),
    "ResetAuthorizersCache": Case(stage),
    "TagResource": Case(
        lambda w: {"ResourceArn": w["arn"], "Tags": {"t": "v", "long": "x" * 1600}},
        lambda w: {"ResourceArn": w["arn"] + "/stages/prod", "Tags": {"t": "v"}},
    ),
    "UntagResource": Case(lambda w: {"ResourceArn": w["arn"], "TagKeys": ["a", "not there"]}),
    "UpdateApi": Case(
        lambda w: {
            **api(w), **API, "RouteSelectionExpression": "$request.body.type", "DisableSchemaValidation": True,
            "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey",
        },
        lambda w: {"ApiId": w["http"], **API, "CorsConfiguration": CORS},
        lambda w: {"ApiId": w["api"]},
    ),
    "UpdateApiMapping": Case(
        lambda w: {**mapping_of(w, "c"), "ApiMappingId": w["mapping"]},
        conflict=lambda w: {**mapping_of(w, "b"), "ApiMappingId": w["mapping"]},
    ),
    "UpdateAuthorizer": Case(
        lambda w: {**below("AuthorizerId", "spare_authorizer")(w), "Name": "new", **REQUEST},
        conflict=lambda w: {**below("AuthorizerId", "spare_authorizer")(w), "Name": "used"},
    ),
    "UpdateDeployment": Case(lambda w: {**below("DeploymentId", "deployment")(w), "Description": "new"}),
    "UpdateDomainName": Case(
        lambda w: {
            **domain(w), "DomainNameConfigurations": [CERTIFICATE], "RoutingMode": "API_MAPPING_ONLY",
            "MutualTlsAuthentication": {"TruststoreUri": "s3://b/k", "TruststoreVersion": "2"},
        },
    ),
    "UpdateIntegration": Case(lambda w: {**integrations(w), "IntegrationId": w["spare_integration"]}),
    "UpdateIntegrationResponse": Case(
        lambda w: {**response_of(w), "IntegrationResponseId": w["integration_response"]},
        conflict=lambda w: {
            **below("IntegrationId", "integration")(w), "IntegrationResponseId": w["integration_response"],
            "IntegrationResponseKey": "$default",
        },
    ),
    "UpdateModel": Case(
        lambda w: {
            **below("ModelId", "spare_model")(w), "Name": "Other", "ContentType": "text/plain", "Description": "d", "Schema": "{}",
        },
        conflict=lambda w: {**below("ModelId", "spare_model")(w), "Name": "Used"},
    ),
    "UpdateRoute": Case(
        lambda w: {**route_of(w), "RouteId": w["route"]},
        conflict=lambda w: {**below("RouteId", "connect")(w), "RouteKey": "used", "RequestParameters": {}},
    ),
    "UpdateRouteResponse": Case(
        lambda w: {
            "ApiId": w["api"], "RouteId": w["route"], "RouteResponseId": w["route_response"], "RouteResponseKey": "$default",
            "ModelSelectionExpression": "$default", "ResponseModels": {"x": "Used"}, "ResponseParameters": {"x": {"Required": False}},
        },
    ),
    "UpdateStage": Case(lambda w: stage_of(w, "prod"), lambda w: {"ApiId": w["api"], "StageName": "spare", "AutoDeploy": True}),
    "UpdateVpcLink": Case(lambda w: {"VpcLinkId": w["link"], "Name": "new"}),
}


# ---- the columns of the table

def happy(name, case):
    wrong = []
    for number, make in enumerate(case.happy, 1):
        w = world()
        params = make(w)
        method, path, sent = wire(name, params)
        answer = call(name, **params)
        flaws = judge(name, answer)
        if not flaws and method in ("POST", "PATCH") and answer.status in (200, 201) and name != "TagResource":
            flaws = shows(name, sent, answer.body) + stays(name, params, answer.body)
        wrong += [f"call {number}: {flaw}" for flaw in flaws]
        undo(name, params, answer)
        end(w)
    return wrong


def undo(name, params, answer):
    """Deletes what was created, so that it is not in the way of the next call."""
    if not name.startswith("Create") or answer.status != 201:
        return
    delete = name.replace("Create", "Delete", 1)
    members = operation(delete).input_shape.members
    call(delete, **{member: params.get(member) or answer.body[members[member].serialization["name"]] for member in at(delete, "uri")})


def shows(name, sent, shown):
    """Each member that was sent is in the answer, as it was sent."""
    return [
        f"{key} was {value!r} and is {shown.get(key)!r}"
        for key, value in sent.items()
        if (name, key) not in PASSING and not within(value, shown.get(key))
    ]


def within(sent, shown):
    if isinstance(sent, dict) and isinstance(shown, dict):
        return all(within(value, shown.get(key)) for key, value in sent.items())
    if isinstance(sent, list) and isinstance(shown, list) and len(sent) == len(shown):
        return all(within(a, b) for a, b in zip(sent, shown))
    return sent == shown


def stays(name, params, shown):
    """What was answered is what the operation that gets it answers, and one of the list."""
    resource = re.sub("^(Create|Update)", "", name)
    get, listing = f"Get{resource}", f"Get{resource}s"
    ids = {}
    for member in at(get, "uri"):
        key = operation(get).input_shape.members[member].serialization["name"]
        ids[member] = params.get(member) or shown[key]
    again = made(get, **ids)
    items = made(listing, **{member: ids[member] for member in at(listing, "uri")})["items"]
    wrong = [] if again == shown else [f"is {shown}, but {get} answers {again}"]
    return wrong + ([] if again in items else [f"is not listed by {listing}"])


def not_found(name, case):
    members = at(name, "uri")
    if not members:
        return None
    wrong = []
    w = world()
    before = everything(w)
    for member in members:
        for absent in ("nosuch1", "no such/one", "ü", ".."):
            params = dict(case.happy[0](w))
            params[member] = f"arn:aws:apigateway:us-east-1::/apis/{absent}" if member == "ResourceArn" else absent
            if member == "ResourceArn" and "/" in absent:
                continue
            answer = call(name, **params)
            flaws = judge_refusal(name, answer, 404, {"NotFoundException"})
            wrong += [f"{member}={absent}: {flaw}" for flaw in flaws]
    if everything(w) != before:
        wrong.append("something was changed all the same")
    end(w)
    return wrong


def bad_request(name, case):
    wrong = []
    count = 0
    shapes = {"BadRequestException", "SerializationException"}
    for make in case.happy:
        w = world()
        before = everything(w)
        params = make(w)
        for method, path, body, why in wrong_requests(name, params):
            sent = json.dumps(body).encode() if method in ("POST", "PATCH") else b""
            count += 1
            answer = exchange(method, path, sent)
            wrong += [f"{why}: {flaw}" for flaw in judge_refusal(name, answer, 400, shapes)]
            if answer.status < 300:
                undo(name, params, answer)
        method, path, _ = wire(name, params)
        if method in ("POST", "PATCH"):
            for body in BROKEN:
                count += 1
                answer = exchange(method, path, body)
                wrong += [f"{body[:20]!r}: {flaw}" for flaw in judge_refusal(name, answer, 400, shapes)]
        after = everything(w)
        if after != before:
            wrong.append(f"something was changed all the same: {[key for key in after if after[key] != before[key]]}")
        end(w)
    return wrong if count else None


def odd(name, case):
    """Nothing that can be written down is a failure of the server."""
    if operation(name).http["method"] not in ("POST", "PATCH"):
        return []
    wrong = []
    for make in case.happy:
        w = world()
        params = make(w)
        method, path, body = wire(name, params)
        for key, (_, shape) in in_body(name).items():
            for value in odd_values(shape):
                answer = exchange(method, path, json.dumps({**body, key: value}).encode())
                told = f"{key}={json.dumps(value)[:40]}"
                if answer.status >= 300:
                    flaws = judge_refusal(name, answer, answer.status, {answer.shape})
                    wrong += [f"{told}: {answer}"] if answer.status >= 500 else [f"{told}: {flaw}" for flaw in flaws]
                    continue
                wrong += [f"{told}: {flaw}" for flaw in judge(name, answer)]
                undo(name, params, answer)
        end(w)
    return wrong


def conflict(name, case):
    if case.conflict is None:
        return None
    w = world()
    before = everything(w)
    status, shape = case.refusal
    wrong = judge_refusal(name, call(name, **case.conflict(w)), status, {shape})
    if everything(w) != before:
        wrong.append("something was changed all the same")
    end(w)
    return wrong


def unserved(name):
    params = {member: "x" for member in at(name, "uri")}
    method, path, _ = wire(name, params)
    answer = exchange(method, path, b"{}" if method in ("POST", "PATCH", "PUT") else b"")
    known = {"NotFoundException", "BadRequestException"}
    wrong = judge_headers(answer)
    if not 400 <= answer.status < 500 or answer.shape not in known or not answer.body.get("message"):
        wrong.append(f"answered {answer}")
    return wrong


COLUMNS = [("happy", happy), ("not found", not_found), ("bad request", bad_request), ("conflict", conflict)]


def main():
    everyone = set(MODEL.operation_names)
    for name in sorted(everyone - UNSERVED - set(CASES)):
        complain(name, "the model has it, and nothing here tries it")
    for name in sorted((UNSERVED | set(CASES)) - everyone):
        complain(name, "the model does not have it")

    print("| operation | " + " | ".join(title for title, _ in COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS))
    for name in sorted(set(CASES) & everyone):
        cells = []
        for title, column in COLUMNS:
            wrong = column(name, CASES[name])
            for flaw in wrong or ():
                complain(name, f"{title}: {flaw}")
            cells.append("–" if wrong is None else "WRONG" if wrong else "yes")
        for flaw in odd(name, CASES[name]):
            complain(name, f"odd texts: {flaw}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\nNot served; each is refused in a shape that clients know:", ", ".join(sorted(UNSERVED)))
    for name in sorted(UNSERVED & everyone):
        for flaw in unserved(name):
            complain(name, flaw)
    print(f"\n{tried} requests")
    sys.exit(1 if failures else 0)


main()
