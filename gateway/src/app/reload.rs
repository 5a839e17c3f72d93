//! A changed file: checked whole, then swapped in without closing a socket; a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use gateway_core::resource::Preset;

use super::control;
use super::deployer::Deployer;
use crate::config::{self, Config, ConfigErrors, Loaded, Overrides};
use crate::control::Control;
use crate::listen::TlsOffer;

/// What a reload needs to know.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) file: Option<PathBuf>,
    pub(super) overrides: Overrides,
    pub(super) deployer: Arc<Deployer>,
    pub(super) control: Arc<Control>,
    pub(super) tls: Arc<TlsOffer>,
    /// What is in force.
    pub(super) loaded: Loaded,
}

impl Reloader {
    /// Loads the file again and swaps its APIs in.
    pub(super) async fn reload(&mut self, why: &str) {
        match self.load() {
            Ok(loaded) => {
                let (apis, domains) = control::declared(&loaded);
                self.control.declare(apis, domains).await;
                if loaded.config.server.tls != self.loaded.config.server.tls {
                    self.tls.set(loaded.config.server.tls.as_ref());
                    tracing::info!("new connections get the new server.tls");
                }
                let mut kept = self.keep_settings(loaded.config.clone());
                kept.server.tls.clone_from(&loaded.config.server.tls);
                if kept != loaded.config {
                    tracing::warn!(
                        "changes of server and lambda settings, server.tls apart, take effect at the next start"
                    );
                }
                tracing::info!(apis = loaded.config.apis.len(), "reloaded, because {why}");
                self.loaded = Loaded {
                    config: kept,
                    ..loaded
                };
            }
            Err(errors) => {
                tracing::error!("the new configuration is refused, the old one stays:\n{errors}");
            }
        }
    }

    /// The files whose change is worth a look.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let tls = self.loaded.config.server.tls.as_ref();
        let pem = tls.map(|tls| tls.files.as_slice()).unwrap_or_default();
        self.file.iter().chain(pem).cloned().collect()
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        let request = config::Request {
            file: self.file.as_deref(),
            env: std::env::vars(),
            overrides: self.overrides.clone(),
            default_preset: Preset::Open,
        };
        let loaded = config::load(request)?;
        let warnings = self.deployer.load(&loaded)?;
        for warning in loaded.warnings.iter().chain(&warnings) {
            tracing::warn!("{warning}");
        }
        Ok(loaded)
    }

    /// The process goes on with the settings it started with, so the next comparison must be against those.
    fn keep_settings(&self, new: Config) -> Config {
        Config {
            server: self.loaded.config.server.clone(),
            lambda: self.loaded.config.lambda.clone(),
            ..new
        }
    }
}
