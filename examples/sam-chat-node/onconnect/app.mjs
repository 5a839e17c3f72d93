// $connect: remembers the connection.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

export const handler = async (event) => {
  const { connectionId, connectedAt } = event.requestContext;
  await table.send(
    new PutCommand({
      TableName: process.env.TABLE_NAME,
      Item: { connectionId, connectedAt },
    }),
  );
  return { statusCode: 200, body: 'Connected.' };
};
