//! `wiregate export`: what the control plane holds, as a file.

use clap::{Args, ValueEnum};
use gateway_core::control::{Account, Export as File, to_cloudformation, to_wiregate};
use http::Method;

use super::client::{Client, Target};
use super::print::json;
use super::trouble::Trouble;
use super::yaml;
use crate::control::ACCOUNT;

/// The language of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// wiregate.yaml.
    Wiregate,
    /// A CloudFormation template.
    Cloudformation,
}

impl Format {
    /// The account as such a file.
    pub(super) fn of(self, account: &Account) -> File {
        match self {
            Self::Wiregate => to_wiregate(account),
            Self::Cloudformation => to_cloudformation(account),
        }
    }
}

/// Which APIs to write, and how.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Ids of APIs; all, unless some are named.
    #[arg(value_name = "API_ID")]
    apis: Vec<String>,
    /// Language of the file.
    #[arg(long, value_enum, default_value_t = Format::Wiregate)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Export {
    pub(super) fn run(&self) -> Result<String, Trouble> {
        let reply = Client::new(&self.target)?.ask(&Method::GET, ACCOUNT)?;
        let read = serde_json::from_value(reply.body);
        let account: Account = read.map_err(|error| {
            Trouble::Unreachable(format!(
                "the gateway's answer is not as this version knows it: {error}"
            ))
        })?;
        let account = account
            .only(&self.apis)
            .map_err(|id| Trouble::Usage(format!("the gateway has no API {id}")))?;
        let file = self.format.of(&account);
        Ok(written(&file, self.target.json))
    }
}

/// The file as YAML or JSON; what it cannot say stands above it as a comment, which JSON has none of.
pub(super) fn written(file: &File, as_json: bool) -> String {
    if as_json {
        for left_out in &file.left_out {
            eprintln!("warning: left out: {left_out}");
        }
        return json(&file.document);
    }
    let comments = file
        .left_out
        .iter()
        .map(|left_out| format!("# left out: {left_out}\n"));
    let comments: String = comments.collect();
    comments + &yaml::written(&file.document)
}
