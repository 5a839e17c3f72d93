"""Creates the DynamoDB tables that a template declares, at the endpoint that AWS_ENDPOINT_URL_DYNAMODB names.

    python create-tables.py template.yaml

For a stand-in on this machine: on AWS, CloudFormation does this. It needs boto3 and PyYAML, which moto brings along.
"""

import os
import sys

import boto3
import yaml


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short tags: `!Ref X` as {"Ref": "X"}, `!Sub x` as {"Fn::Sub": "x"}."""


def short_tag(loader, tag, node):
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Template.add_multi_constructor("!", short_tag)


def resolved(value, parameters):
    """The value with each `Ref` to a parameter replaced by its default."""
    if isinstance(value, list):
        return [resolved(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Ref"] and value["Ref"] in parameters:
        return parameters[value["Ref"]]
    return {key: resolved(item, parameters) for key, item in value.items()}


def tables(template):
    parameters = {name: it.get("Default") for name, it in template.get("Parameters", {}).items()}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table":
            known = {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "ProvisionedThroughput", "TableName"}
            properties = resolved(resource["Properties"], parameters)
            # Without a name, !Ref gives the logical id under `wiregate dev`.
            yield {"TableName": name} | {key: it for key, it in properties.items() if key in known}


def main():
    endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
    if not endpoint:
        sys.exit("AWS_ENDPOINT_URL_DYNAMODB is not set: this is for a stand-in, never for AWS")
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml.load(file, Template)
    for table in tables(template):
        try:
            client.create_table(**table)
            print(f"created {table['TableName']}")
        except client.exceptions.ResourceInUseException:
            print(f"{table['TableName']} is there")


main()
