"""sendmessage: passes {"action": "sendmessage", "data": ...} on to everybody, and forgets who is gone."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def connections():
    pages = table.meta.client.get_paginator("scan").paginate(
        TableName=table.name, ProjectionExpression="connectionId"
    )
    for page in pages:
        for item in page["Items"]:
            yield item["connectionId"]


def handler(event, context):
    here = event["requestContext"]
    sockets = boto3.client(
        "apigatewaymanagementapi", endpoint_url=f"https://{here['domainName']}/{here['stage']}"
    )
    data = json.loads(event["body"])["data"]
    for connection in connections():
        try:
            sockets.post_to_connection(ConnectionId=connection, Data=data.encode())
        except sockets.exceptions.GoneException:
            print(f"{connection} is gone")
            table.delete_item(Key={"connectionId": connection})
    return {"statusCode": 200, "body": "Data sent."}
