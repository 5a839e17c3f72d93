//! Every number that AWS gives for WebSocket APIs and that traffic can run into.
//!
//! Source, where none is named: "Amazon API Gateway quotas and important notes", the section on
//! configuring and running a WebSocket API. Sizes are in bytes and times in milliseconds.

/// Payload of one frame: 32 KB. More closes the connection with 1009.
pub const FRAME_BYTES: usize = 32 * 1024;

/// Payload of one message, in either direction: 128 KB. A larger one from a client closes the
/// connection with 1009, a larger `PostToConnection` is answered 413.
pub const MESSAGE_BYTES: usize = 128 * 1024;

/// A connection without a message for 10 minutes is closed with 1001.
pub const IDLE_MILLIS: u64 = 10 * 60 * 1_000;

/// A connection that is 2 hours old is closed with 1001.
pub const AGE_MILLIS: u64 = 2 * 60 * 60 * 1_000;

/// The shortest `timeoutInMillis` an integration may have: 50 ms.
pub const MIN_INTEGRATION_TIMEOUT_MILLIS: u64 = 50;

/// The longest `timeoutInMillis` of an integration, and its default: 29 s. Beyond it a client
/// gets 504 for its handshake, `Endpoint request timed out` for its message.
pub const MAX_INTEGRATION_TIMEOUT_MILLIS: u64 = 29_000;

/// A Lambda authorizer has as long as the longest integration (REST API quotas: 29 s).
pub const AUTHORIZER_TIMEOUT_MILLIS: u64 = 29_000;

/// What a Lambda authorizer may answer: 8 KB.
pub const AUTHORIZER_RESULT_BYTES: usize = 8 * 1024;

/// The URL of a handshake: 4,096 characters.
pub const URL_BYTES: usize = 4_096;

/// All header lines of a request, names and values: 10,240 bytes (REST API quotas).
pub const HEADER_BYTES: usize = 10_240;

/// New connections a second for an account in a region. More are answered 429.
pub const CONNECTIONS_PER_SECOND: u32 = 500;

/// Requests a second for an account in a region, all kinds of API and callbacks together.
pub const ACCOUNT_RATE: f64 = 10_000.0;

/// How many of the account's requests may come at once.
pub const ACCOUNT_BURST: u32 = 5_000;

/// Routes of an API.
pub const ROUTES: usize = 300;

/// Integrations of an API.
pub const INTEGRATIONS: usize = 300;

/// Stages of an API.
pub const STAGES: usize = 10;

/// Authorizers of an API.
pub const AUTHORIZERS: usize = 10;

/// Variables of a stage.
pub const STAGE_VARIABLES: usize = 100;

/// Characters in the name of a stage variable.
pub const STAGE_VARIABLE_NAME_CHARS: usize = 64;

/// Characters in the value of a stage variable.
pub const STAGE_VARIABLE_VALUE_CHARS: usize = 512;

/// A mapping template: 300 KB.
pub const TEMPLATE_BYTES: usize = 300 * 1024;

/// How often a `#foreach` of a mapping template goes round.
pub const FOREACH_ITERATIONS: usize = 1_000;

/// The format of an access log line: 3 KB.
pub const ACCESS_LOG_FORMAT_BYTES: usize = 3 * 1024;

/// A line of the execution log; longer ones are cut.
pub const EXECUTION_LOG_BYTES: usize = 1_024;

/// Characters in an `integrationUri` (service model `apigatewayv2`,
/// `UriWithLengthBetween1And2048`).
pub const INTEGRATION_URI_CHARS: usize = 2_048;

/// Characters in a mapping source such as `route.request.header.name` (service model
/// `apigatewayv2`, `StringWithLengthBetween1And512`).
pub const MAPPING_SOURCE_CHARS: usize = 512;

/// Characters in the JSON schema of a model (service model `apigatewayv2`,
/// `StringWithLengthBetween0And32K`).
pub const MODEL_SCHEMA_CHARS: usize = 32 * 1024;

/// Characters in the key of an API mapping.
pub const API_MAPPING_KEY_CHARS: usize = 300;

/// Characters in the value of an API key, at least.
pub const MIN_API_KEY_CHARS: usize = 20;

/// Characters in the value of an API key, at most.
pub const MAX_API_KEY_CHARS: usize = 128;
