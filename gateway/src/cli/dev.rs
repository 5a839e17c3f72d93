//! `wiregate dev`: an AWS WebSocket app on this machine, its functions too.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::app::Sources;
use crate::config::Overrides;
use crate::dev::Options;
use crate::dev::discover::{self, Kind};
use crate::dev::laptop::Laptop;

/// The port beside the public one.
const MANAGEMENT_AFTER: u16 = 1;

/// What to run, and where.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// A SAM or CloudFormation template, a serverless.yml or a wiregate.yaml; the first of these in this folder if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Settings beside a template; a template's own folder is not looked through for them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Variables for the functions, over those of the template and of .env beside it; may be given again.
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// A value for a parameter of a template, or for what it looks up elsewhere; may be given again.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = super::parameter)]
    parameters: Vec<(String, String)>,
    /// Stage of a serverless.yml.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Address of the public listener, such as 127.0.0.1:8080; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", conflicts_with = "port")]
    listen: Option<String>,
    /// Port of the public listener on 127.0.0.1; the management listener takes the next one. 0 takes free ones.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address of the management listener, such as 127.0.0.1:8081.
    #[arg(long, value_name = "ADDR")]
    management_listen: Option<String>,
    /// Write calls and log lines as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// What is to be run, and what is to be said first.
#[derive(Debug)]
pub(super) struct Found {
    sources: Sources,
    options: Options,
    pub(super) notes: Vec<String>,
}

impl Dev {
    /// Finds the file; the error is a sentence.
    pub(super) fn find(self) -> Result<Found, String> {
        let mut notes = Vec::new();
        let file = if let Some(file) = &self.file {
            file.clone()
        } else {
            let found = discover::find(Path::new(""), Path::is_file)?;
            let file = found.file.display();
            notes.push(match &*found.passed_over {
                [] => format!("running {file}"),
                others => format!(
                    "running {file}, and not {}: name what is to run",
                    others.join(", ")
                ),
            });
            found.file
        };
        // What cannot be read is said with all else that is wrong.
        let text = fs::read_to_string(&file).unwrap_or_default();
        let is_settings = discover::kind_of(&file, &text) == Kind::Settings;
        if is_settings && self.config.is_some() {
            return Err(format!(
                "{} is no template, so --config cannot stand beside it",
                file.display()
            ));
        }
        let (listen, management_listen) = self.listeners()?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let (settings, templates) = if is_settings {
            (Some(file), Vec::new())
        } else {
            (self.config, vec![file])
        };
        let sources = Sources {
            file: settings,
            overrides: Overrides {
                listen,
                management_listen,
                ..Overrides::default()
            },
            templates,
            parameters: self.parameters.into_iter().collect(),
            stage: self.stage,
            dev: None,
        };
        let options = Options {
            folder,
            env_files: self.env_files,
            json: self.json,
        };
        Ok(Found {
            sources,
            options,
            notes,
        })
    }

    /// The addresses of both listeners, where the command says them.
    fn listeners(&self) -> Result<(Option<String>, Option<String>), String> {
        let Some(port) = self.port else {
            return Ok((self.listen.clone(), self.management_listen.clone()));
        };
        let beside = match port {
            0 => 0,
            port => port
                .checked_add(MANAGEMENT_AFTER)
                .ok_or("--port must be below 65535: the management listener takes the next one")?,
        };
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port)).to_string();
        let management = self.management_listen.clone();
        Ok((Some(at(port)), management.or_else(|| Some(at(beside)))))
    }
}

impl Found {
    /// Whether JSON is wanted.
    pub(super) fn is_json(&self) -> bool {
        self.options.json
    }

    /// Makes what a run on this machine needs; the error is a sentence.
    pub(super) fn open(self) -> Result<Sources, String> {
        let laptop = Laptop::open(self.options, std::env::vars().collect())?;
        Ok(Sources {
            dev: Some(Arc::new(laptop)),
            ..self.sources
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        dev: Dev,
    }

    fn found(arguments: &[&str]) -> Result<Found, String> {
        let line = Line::try_parse_from([&["dev"], arguments].concat());
        line.map_err(|error| error.to_string())?.dev.find()
    }

    #[test]
    fn a_template_stands_beside_settings_and_settings_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(at("t.yaml"), "Resources: {}").unwrap();
        fs::write(at("w.yaml"), "apis: {}").unwrap();
        let (template, settings) = (PathBuf::from(at("t.yaml")), PathBuf::from(at("w.yaml")));
        let check = |arguments: &[&str], file: Option<&PathBuf>, templates: &[PathBuf]| {
            let Found {
                sources, options, ..
            } = found(arguments).unwrap();
            assert_eq!(sources.file.as_ref(), file, "{arguments:?}");
            assert_eq!(sources.templates, templates, "{arguments:?}");
            assert_eq!(options.folder, folder.path());
        };
        check(&[&at("t.yaml")], None, std::slice::from_ref(&template));
        check(&[&at("w.yaml")], Some(&settings), &[]);
        let both = [&*at("t.yaml"), "--config", &*at("w.yaml")];
        check(&both, Some(&settings), std::slice::from_ref(&template));
        assert!(found(&[&at("w.yaml"), "--config", &at("w.yaml")]).is_err());
    }

    #[test]
    fn a_port_is_that_of_loopback_and_the_next_is_for_operators() {
        let check = |arguments: &[&str], expected: (Option<&str>, Option<&str>)| {
            let sources = found(&[&["x.yaml"], arguments].concat()).unwrap().sources;
            let overrides = &sources.overrides;
            let found = (
                overrides.listen.as_deref(),
                overrides.management_listen.as_deref(),
            );
            assert_eq!(found, expected, "{arguments:?}");
        };
        check(&[], (None, None));
        check(
            &["--port", "9000"],
            (Some("127.0.0.1:9000"), Some("127.0.0.1:9001")),
        );
        check(&["--port", "0"], (Some("127.0.0.1:0"), Some("127.0.0.1:0")));
        check(&["--listen", "0.0.0.0:1"], (Some("0.0.0.0:1"), None));
        check(
            &["--port", "1", "--management-listen", "127.0.0.1:9"],
            (Some("127.0.0.1:1"), Some("127.0.0.1:9")),
        );
        assert!(found(&["x.yaml", "--port", "65535"]).is_err());
        assert!(found(&["x.yaml", "--port", "1", "--listen", "0.0.0.0:1"]).is_err());
    }
}
