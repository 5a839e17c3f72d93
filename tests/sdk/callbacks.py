"""The @connections API through boto3. What must hold is asserted; the caller checks what arrived on the sockets."""

import datetime
import os
import sys

import boto3
from botocore.exceptions import ClientError

ENDPOINT = os.environ["ENDPOINT"]
OPEN_ID = os.environ["OPEN_ID"]
CLOSING_ID = os.environ["CLOSING_ID"]
TOO_LONG = int(os.environ["TOO_LONG"])


def client(endpoint=ENDPOINT):
    return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, region_name="us-east-1")


def refused(call, exception, status, **arguments):
    """Checks that the call raises that exception, and gives it."""
    try:
        call(**arguments)
    except exception as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error.response
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return error
    raise AssertionError(f"{arguments} was not refused")


def everything():
    api = client()
    gone = api.exceptions.GoneException
    assert OPEN_ID.endswith("="), OPEN_ID

    answer = api.post_to_connection(ConnectionId=OPEN_ID, Data=b"from boto3")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200, answer
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36, answer
    client(ENDPOINT + "/").post_to_connection(ConnectionId=OPEN_ID, Data="trailing slash, ünïcode")
    api.post_to_connection(ConnectionId=OPEN_ID, Data=b"")

    found = api.get_connection(ConnectionId=OPEN_ID)
    now = datetime.datetime.now(datetime.timezone.utc)
    for member in ("ConnectedAt", "LastActiveAt"):
        assert isinstance(found[member], datetime.datetime), found
        assert abs((now - found[member]).total_seconds()) < 60, found
    assert found["Identity"]["SourceIp"] == "127.0.0.1", found
    assert found["Identity"]["UserAgent"] == "spec/1", found

    answer = api.delete_connection(ConnectionId=CLOSING_ID)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204, answer
    for call, data in (
        (api.delete_connection, {}),
        (api.get_connection, {}),
        (api.post_to_connection, {"Data": b"x"}),
    ):
        refused(call, gone, 410, ConnectionId=CLOSING_ID, **data)
    refused(api.post_to_connection, gone, 410, ConnectionId="BFaT_fALIAMCKug=", Data=b"x")

    large = api.exceptions.PayloadTooLargeException
    refused(api.post_to_connection, large, 413, ConnectionId=OPEN_ID, Data=b"x" * TOO_LONG)
    error = refused(api.post_to_connection, ClientError, 400, ConnectionId="abc", Data=b"x")
    assert error.response["Error"]["Code"] == "BadRequestException", error.response
    assert error.response["Error"]["Message"] == "Invalid connectionId: abc", error.response
    elsewhere = client(ENDPOINT + "-not-a-stage")
    refused(elsewhere.post_to_connection, elsewhere.exceptions.ForbiddenException, 403, ConnectionId=OPEN_ID, Data=b"x")


def wrong_credentials(expected):
    error = refused(client().post_to_connection, ClientError, 403, ConnectionId=OPEN_ID, Data=b"never")
    assert error.response["Error"]["Code"] == expected, error.response


if len(sys.argv) > 1:
    wrong_credentials(sys.argv[1])
else:
    everything()
print("ok")
