//! Documents in the two languages of files: `wiregate.yaml` and CloudFormation.

mod cloudformation;
mod wiregate;

use serde_json::Value;

pub use cloudformation::to_cloudformation;
pub use wiregate::to_wiregate;

/// A file's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// What the file says.
    pub document: Value,
    /// What it cannot say.
    pub left_out: Vec<String>,
}
