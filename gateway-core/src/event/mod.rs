//! The JSON that a Lambda function sees and returns.

pub mod authorizer;
pub mod proxy_result;
pub mod websocket;
