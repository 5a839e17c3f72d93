//! `wiregate import`: what a template declares, as another file.

use std::path::PathBuf;

use clap::Args;

use super::Templates;
use super::export::{Format, written};
use crate::app::Sources;
use crate::config::ConfigErrors;

/// Which template to read, and what to write.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A CloudFormation or SAM template, or a serverless.yml.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Language of the file that is written.
    #[arg(long, value_enum, default_value_t = Format::Wiregate)]
    format: Format,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    templates: Templates,
}

impl Import {
    pub(super) fn run(mut self) -> Result<String, ConfigErrors> {
        self.templates.files.insert(0, self.file);
        let sources: Sources = self.templates.sources();
        let read = sources.read()?;
        for notice in read.warnings() {
            eprintln!("warning: {notice}");
        }
        for template in &read.templates {
            for (name, value) in &template.outputs {
                eprintln!("output {name}: {value}");
            }
        }
        let file = self.format.of(&read.account);
        Ok(written(&file, self.json))
    }
}
