"""The control plane through boto3: an API is made, deployed and changed while a client's socket of it stays open."""

import json
import os

import boto3
from botocore.config import Config
from websockets.sync.client import connect

ENDPOINT = os.environ["ENDPOINT"]
BACKEND = os.environ["BACKEND"]

# A retry would hide an answer that should not have come.
SETTINGS = Config(retries={"total_max_attempts": 1})
client = boto3.client("apigatewayv2", endpoint_url=ENDPOINT, config=SETTINGS)
REFUSED = client.exceptions


def same(got, wanted):
    assert got == wanted, f"{got!r}, not {wanted!r}"


def refused(kind, words, call, **arguments):
    """The call raises exactly that class of the SDK, and says these words."""
    try:
        answer = call(**arguments)
    except kind as error:
        same(type(error), kind)
        assert words in str(error), error
        assert len(error.response["ResponseMetadata"]["RequestId"]) == 36, error.response
        return
    raise AssertionError(f"{call.__name__} {arguments} was not refused: {answer}")


def integration(api, path):
    made = client.create_integration(
        ApiId=api, IntegrationType="HTTP_PROXY", IntegrationMethod="POST", IntegrationUri=BACKEND + path
    )
    return "integrations/" + made["IntegrationId"]


def two_way(api, key, target):
    route = client.create_route(ApiId=api, RouteKey=key, Target=target)["RouteId"]
    client.create_route_response(ApiId=api, RouteId=route, RouteResponseKey="$default")
    return route


class Socket:
    """A client of a stage."""

    def __init__(self, api, stage):
        self.context = connect(f"{client.get_api(ApiId=api)['ApiEndpoint']}/{stage}", proxy=None)
        self.socket = self.context.__enter__()

    def ask(self, action):
        self.socket.send(json.dumps({"action": action}))
        return self.socket.recv(10)

    def is_refused(self, action):
        frame = json.loads(self.ask(action))
        same(frame["message"], "Forbidden")

    def close(self):
        self.context.__exit__(None, None, None)


def push(api, stage, connection, text):
    url = f"{ENDPOINT}/_aws/execute-api/{api}/{stage}"
    boto3.client("apigatewaymanagementapi", endpoint_url=url, config=SETTINGS).post_to_connection(
        ConnectionId=connection, Data=text.encode()
    )


def pages(operation, **arguments):
    """Everything that a paginator of the SDK finds, two to a page."""
    found = []
    for page in client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **arguments):
        assert 1 <= len(page["Items"]) <= 2, page
        found += page["Items"]
    return found


def live_changes():
    api = client.create_api(
        Name="boto3", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action", Tags={"env": "test"}
    )["ApiId"]
    variable = integration(api, "/${stageVariables.name}")
    whoami = integration(api, "/whoami")
    two_way(api, "whoami", whoami)
    two_way(api, "variable", variable)
    first = client.create_deployment(ApiId=api)["DeploymentId"]
    stage = client.create_stage(ApiId=api, StageName="prod", DeploymentId=first, StageVariables={"name": "one"})
    same(stage["DeploymentId"], first)

    socket = Socket(api, "prod")
    connection = socket.ask("whoami")
    push(api, "prod", connection, "pushed by boto3")
    same(socket.socket.recv(10), "pushed by boto3")
    same(socket.ask("variable"), "one")

    # Routes wait for a deployment, stage variables do not; the socket is the same all the while.
    two_way(api, "later", whoami)
    socket.is_refused("later")
    second = client.create_deployment(ApiId=api, StageName="prod")["DeploymentId"]
    assert second != first
    same(socket.ask("later"), connection)
    client.update_stage(ApiId=api, StageName="prod", StageVariables={"name": "two"})
    same(socket.ask("variable"), "two")
    client.update_stage(ApiId=api, StageName="prod", DeploymentId=first)
    socket.is_refused("later")
    same(socket.ask("variable"), "two")

    # A stage that deploys itself follows every change.
    client.update_stage(ApiId=api, StageName="prod", AutoDeploy=True)
    same(socket.ask("later"), connection)
    route = two_way(api, "fresh", whoami)
    same(socket.ask("fresh"), connection)
    client.update_route(ApiId=api, RouteId=route, RouteKey="renamed")
    socket.is_refused("fresh")
    same(socket.ask("renamed"), connection)
    client.delete_route(ApiId=api, RouteId=route)
    socket.is_refused("renamed")
    status = client.get_stage(ApiId=api, StageName="prod")
    assert status["LastDeploymentStatusMessage"].startswith("Successfully deployed stage"), status
    automatic = client.get_deployment(ApiId=api, DeploymentId=status["DeploymentId"])
    assert automatic["AutoDeployed"] and automatic["DeploymentStatus"] == "DEPLOYED", automatic
    refused(
        REFUSED.BadRequestException, "AutoDeploy is enabled", client.update_stage,
        ApiId=api, StageName="prod", DeploymentId=first,
    )
    socket.close()
    return api


def refusals(api):
    refused(REFUSED.NotFoundException, "Invalid API identifier", client.get_api, ApiId="nosuch")
    refused(REFUSED.NotFoundException, "nosuch", client.get_stage, ApiId=api, StageName="nosuch")
    refused(REFUSED.BadRequestException, "HTTP, WEBSOCKET", client.create_api, Name="x", ProtocolType="FTP")
    refused(REFUSED.ConflictException, "already exists", client.create_route, ApiId=api, RouteKey="whoami")
    refused(REFUSED.ConflictException, "Stage already exists", client.create_stage, ApiId=api, StageName="prod")


def lists(api):
    for number in range(5):
        client.create_model(ApiId=api, Name=f"Model{number}", Schema="{}")
        client.create_authorizer(
            ApiId=api, Name=f"who{number}", AuthorizerType="REQUEST", IdentitySource=["route.request.header.Auth"],
            AuthorizerUri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations",
        )
        client.create_stage(ApiId=api, StageName=f"stage{number}")
        client.create_api(Name=f"other{number}", ProtocolType="HTTP")
        client.create_domain_name(DomainName=f"d{number}.example.com")
    mock = client.create_integration(ApiId=api, IntegrationType="MOCK")["IntegrationId"]
    for key in ("$default", "/200/", "/4\\d\\d/"):
        client.create_integration_response(ApiId=api, IntegrationId=mock, IntegrationResponseKey=key)
    route = client.get_routes(ApiId=api)["Items"][0]["RouteId"]
    for operation, identity, count, arguments in (
        ("get_apis", "ApiId", 6, {}),
        ("get_domain_names", "DomainName", 5, {}),
        ("get_routes", "RouteId", 3, {"ApiId": api}),
        ("get_route_responses", "RouteResponseId", 1, {"ApiId": api, "RouteId": route}),
        ("get_integrations", "IntegrationId", 3, {"ApiId": api}),
        ("get_integration_responses", "IntegrationResponseId", 3, {"ApiId": api, "IntegrationId": mock}),
        ("get_models", "ModelId", 5, {"ApiId": api}),
        ("get_authorizers", "AuthorizerId", 5, {"ApiId": api}),
        ("get_stages", "StageName", 6, {"ApiId": api}),
    ):
        found = pages(operation, **arguments)
        same((operation, len({item[identity] for item in found})), (operation, count))
        same(found, getattr(client, operation)(**arguments)["Items"])
    found = pages("get_deployments", ApiId=api)
    assert len(found) >= 3 and all(item["DeploymentStatus"] == "DEPLOYED" for item in found), found
    # An empty id leaves a slash at the end of the path, which is the list.
    listed = client.get_api(ApiId="")
    same(listed["ResponseMetadata"]["HTTPStatusCode"], 200)


def tags(api):
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api}"
    client.tag_resource(ResourceArn=arn, Tags={"team": "core", "c d": "ü"})
    same(client.get_tags(ResourceArn=arn)["Tags"], {"env": "test", "team": "core", "c d": "ü"})
    client.untag_resource(ResourceArn=arn, TagKeys=["env", "c d"])
    same(client.get_api(ApiId=api)["Tags"], {"team": "core"})


def the_end(api):
    socket = Socket(api, "prod")
    client.delete_api(ApiId=api)
    refused(REFUSED.NotFoundException, "Invalid API identifier", client.get_api, ApiId=api)
    socket.close()


api = live_changes()
refusals(api)
lists(api)
tags(api)
the_end(api)
print("ok")
