"""$connect: remembers the connection."""

import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    here = event["requestContext"]
    table.put_item(Item={"connectionId": here["connectionId"], "connectedAt": here["connectedAt"]})
    return {"statusCode": 200, "body": "Connected."}
