// The functions that serverless-offline calls in `loadtest peers`: the same answers as the backend of all others.
exports.accept = async () => ({ statusCode: 200 });
exports.echo = async (event) => ({ statusCode: 200, body: event.body });
exports.whoami = async (event) => ({ statusCode: 200, body: event.requestContext.connectionId });
