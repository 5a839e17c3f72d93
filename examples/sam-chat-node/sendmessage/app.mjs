// sendmessage: passes {"action": "sendmessage", "data": …} on to everybody, and forgets who is gone.

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, DeleteCommand, paginateScan } from '@aws-sdk/lib-dynamodb';

const TableName = process.env.TABLE_NAME;
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

export const handler = async (event) => {
  const { domainName, stage } = event.requestContext;
  const sockets = new ApiGatewayManagementApiClient({ endpoint: `https://${domainName}/${stage}` });
  const { data } = JSON.parse(event.body);

  const post = async ({ connectionId }) => {
    try {
      await sockets.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: data }));
    } catch (error) {
      if (error.name !== 'GoneException') throw error;
      console.log(`${connectionId} is gone`);
      await table.send(new DeleteCommand({ TableName, Key: { connectionId } }));
    }
  };

  for await (const page of paginateScan({ client: table }, { TableName, ProjectionExpression: 'connectionId' })) {
    await Promise.all(page.Items.map(post));
  }
  return { statusCode: 200, body: 'Data sent.' };
};
