"""The Lambda API through boto3: functions are created, called through a socket, changed under it, published and named."""

import base64
import io
import json
import os
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.sync.client import connect

ENDPOINT = os.environ["ENDPOINT"]
ROLE = "arn:aws:iam::000000000000:role/any"

# A retry would hide an answer that should not have come.
SETTINGS = Config(retries={"total_max_attempts": 1})
functions = boto3.client("lambda", endpoint_url=ENDPOINT, config=SETTINGS)
gateway = boto3.client("apigatewayv2", endpoint_url=ENDPOINT, config=SETTINGS)

PYTHON = """
import json, os
def handler(event, context):
    if "requestContext" not in event:
        if event.get("fail"):
            raise ValueError("kaboom")
        print("about to answer", event)
        answer = {"said": event, "word": os.environ["WORD"], "version": context.function_version, "arn": context.invoked_function_arn}
        if context.client_context:
            answer["client"] = context.client_context.custom
        if event.get("leave"):
            open(event["leave"], "w").write("was here")
        return answer
    return {"statusCode": 200, "body": os.environ["WORD"] + " " + str(event.get("body"))}
"""

NODE = """
export const handler = async (event) => ({ statusCode: 200, body: `node %s ${event.body}` });
"""


def same(got, wanted):
    assert got == wanted, f"{got!r}, not {wanted!r}"


def refused(code, status, words, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        same((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]), (code, status))
        assert words in error.response["Error"]["Message"], error
        return
    raise AssertionError(f"{arguments} was not refused: {answer}")


def archive(name, text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return out.getvalue()


def call(name, payload, **more):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(payload), **more)
    same(answer["StatusCode"], 200)
    return answer, json.loads(answer["Payload"].read())


def serve(arn):
    """A WebSocket API whose default route is that function; the URL of its stage."""
    api = gateway.create_api(Name="calls", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    made = gateway.create_integration(ApiId=api["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=uri)
    route = gateway.create_route(
        ApiId=api["ApiId"],
        RouteKey="$default",
        Target="integrations/" + made["IntegrationId"],
        RouteResponseSelectionExpression="$default",
    )
    gateway.create_route_response(ApiId=api["ApiId"], RouteId=route["RouteId"], RouteResponseKey="$default")
    gateway.create_stage(ApiId=api["ApiId"], StageName="dev", AutoDeploy=True)
    return f"{api['ApiEndpoint']}/dev"


def asks(socket, text, wanted):
    socket.send(text)
    same(socket.recv(30), wanted)


made = functions.create_function(
    FunctionName="words",
    Runtime="python3.11",
    Role=ROLE,
    Handler="app.handler",
    Code={"ZipFile": archive("app.py", PYTHON)},
    Environment={"Variables": {"WORD": "first"}},
    Timeout=20,
)
same((made["Version"], made["State"], made["Runtime"]), ("$LATEST", "Active", "python3.11"))
functions.get_waiter("function_active_v2").wait(FunctionName="words", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
functions.add_permission(
    FunctionName="words", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
)

# Every way of calling it.
answer, said = call("words", {"a": 1}, LogType="Tail")
same((said["said"], said["word"], said["version"], said["arn"]), ({"a": 1}, "first", "$LATEST", made["FunctionArn"]))
same(answer["ExecutedVersion"], "$LATEST")
log = base64.b64decode(answer["LogResult"]).decode()
assert "about to answer" in log and "REPORT RequestId" in log, log
_, said = call(made["FunctionArn"], {}, ClientContext=base64.b64encode(b'{"custom": {"k": "v"}}').decode())
same(said["client"], {"k": "v"})
answer, said = call("000000000000:function:words:$LATEST", {"fail": True})
same((answer["FunctionError"], said["errorType"], said["errorMessage"]), ("Unhandled", "ValueError", "kaboom"))
same(functions.invoke(FunctionName="words", InvocationType="DryRun")["StatusCode"], 204)
left = os.path.join(os.environ["HOME"], "left-by-an-event")
answer = functions.invoke(FunctionName="words", InvocationType="Event", Payload=json.dumps({"leave": left}))
same((answer["StatusCode"], answer["Payload"].read()), (202, b""))
for _ in range(200):
    if os.path.exists(left):
        break
    time.sleep(0.05)
same(open(left).read(), "was here")
refused("ResourceNotFoundException", 404, "function:none", functions.invoke, FunctionName="none")
refused("ResourceNotFoundException", 404, "words:none", functions.invoke, FunctionName="words", Qualifier="none")
refused("InvalidRequestContentException", 400, "json", functions.invoke, FunctionName="words", Payload=b"{")
refused(
    "RequestTooLargeException", 413, "6291456", functions.invoke, FunctionName="words", Payload=json.dumps("x" * 6291456)
)

# Through a socket, which stays open while the function is changed.
with connect(serve(made["FunctionArn"]), proxy=None) as latest:
    asks(latest, "one", "first one")
    functions.publish_version(FunctionName="words", Description="as it was")
    functions.create_alias(FunctionName="words", Name="live", FunctionVersion="1")
    functions.update_function_configuration(FunctionName="words", Environment={"Variables": {"WORD": "second"}})
    functions.get_waiter("function_updated").wait(FunctionName="words", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
    asks(latest, "two", "second two")
    with connect(serve(made["FunctionArn"] + ":live"), proxy=None) as live:
        asks(live, "three", "first three")
        same(call("words:live", {})[1]["version"], "1")
        functions.update_function_code(
            FunctionName="words", ZipFile=archive("app.py", PYTHON.replace('+ " "', '+ " changed "')), Publish=True
        )
        asks(live, "four", "first four")
        asks(latest, "five", "second changed five")
        functions.update_alias(FunctionName="words", Name="live", FunctionVersion="2")
        asks(live, "six", "second changed six")

# Node.js in a module.
functions.create_function(
    FunctionName="node", Runtime="nodejs20.x", Role=ROLE, Handler="app.handler", Code={"ZipFile": archive("app.mjs", NODE % 1)},
    Timeout=20,
)
_, said = call("node", {"body": "x"})
same(said, {"statusCode": 200, "body": "node 1 x"})
functions.update_function_code(FunctionName="node", ZipFile=archive("app.mjs", NODE % 2))
same(call("node", {"body": "y"})[1]["body"], "node 2 y")

# What is wrong says so, with the class that the SDK has for it.
refused(
    "InvalidParameterValueException", 400, "unzip", functions.update_function_code, FunctionName="node", ZipFile=b"no archive"
)
outside = archive("../outside.mjs", NODE)
refused("InvalidParameterValueException", 400, "leads out", functions.update_function_code, FunctionName="node", ZipFile=outside)
refused(
    "ResourceConflictException", 409, "already exist", functions.create_function, FunctionName="node", Runtime="nodejs20.x",
    Role=ROLE, Handler="app.handler", Code={"ZipFile": archive("app.mjs", NODE % 1)},
)
refused("ResourceConflictException", 409, "comes from a file", functions.delete_function, FunctionName="declared")
same(call("declared", {})[1], "declared")
names = [one["FunctionName"] for page in functions.get_paginator("list_functions").paginate() for one in page["Functions"]]
same(names, ["declared", "node", "words"])
functions.delete_function(FunctionName="node")
refused("ResourceNotFoundException", 404, "function:node", functions.get_function, FunctionName="node")
refused("ResourceNotFoundException", 404, "function:node", functions.invoke, FunctionName="node")
