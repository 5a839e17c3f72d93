//! A changed file: checked whole, then swapped in without closing a socket; a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::deployer::Deployer;
use super::functions::Functions;
use super::membership::LinkDoor;
use super::sources::{Read, Sources};
use crate::config::{ClusterTls, Config, ConfigErrors, Loaded};
use crate::control::Control;
use crate::lambda_api::LambdaApi;
use crate::listen::TlsOffer;

/// Why a reload takes up code that no file tells to have changed.
pub(super) const SIGNAL: &str = "SIGHUP";

/// What a reload needs to know.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) sources: Sources,
    pub(super) deployer: Arc<Deployer>,
    pub(super) control: Arc<Control>,
    pub(super) lambda_api: Arc<LambdaApi>,
    pub(super) tls: Arc<TlsOffer>,
    /// Where there are other nodes.
    pub(super) link: Option<LinkDoor>,
    /// Runs functions.
    pub(super) functions: Functions,
    /// What is in force.
    pub(super) read: Read,
}

impl Reloader {
    /// Loads the file again and swaps its APIs in.
    pub(super) async fn reload(&mut self, why: &str) {
        match self.load() {
            Ok(read) => {
                self.functions.change(&self.read, &read, why == SIGNAL);
                self.lambda_api
                    .declare(read.loaded.config.lambda.local.values());
                self.control.declare(&read.account).await;
                let loaded = read.loaded;
                if loaded.config.server.tls != self.read.loaded.config.server.tls {
                    self.tls.set(loaded.config.server.tls.as_ref());
                    tracing::info!("new connections get the new server.tls");
                }
                self.offer_to_nodes(loaded.config.server.cluster.tls.as_ref());
                let mut kept = self.keep_settings(loaded.config.clone());
                kept.server.tls.clone_from(&loaded.config.server.tls);
                kept.server
                    .cluster
                    .tls
                    .clone_from(&loaded.config.server.cluster.tls);
                kept.lambda.local.clone_from(&loaded.config.lambda.local);
                if kept != loaded.config {
                    tracing::warn!(
                        "changes of server and lambda settings, server.tls, server.cluster.tls and functions with a codeUri apart, take effect at the next start"
                    );
                }
                tracing::info!(apis = loaded.config.apis.len(), "reloaded, because {why}");
                let loaded = Loaded {
                    config: kept,
                    ..loaded
                };
                self.read = Read { loaded, ..read };
            }
            Err(errors) => {
                tracing::error!("the new configuration is refused, the old one stays:\n{errors}");
            }
        }
    }

    fn offer_to_nodes(&self, tls: Option<&ClusterTls>) {
        let server = &self.read.loaded.config.server;
        let Some(link) = self
            .link
            .as_ref()
            .filter(|_| tls != server.cluster.tls.as_ref())
        else {
            return;
        };
        match link.offer(tls) {
            Ok(()) => {
                tracing::info!("new connections between nodes get the new server.cluster.tls");
            }
            Err(error) => tracing::error!("server.cluster.tls cannot be used: {error}"),
        }
    }

    /// The files whose change is worth a look.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.sources
            .file
            .iter()
            .chain(self.read.files())
            .cloned()
            .chain(self.sources.watched_besides())
            .collect()
    }

    fn load(&self) -> Result<Read, ConfigErrors> {
        let read = self.sources.read()?;
        if let Err(why) = read.write_inline_code() {
            tracing::error!("{why}");
        }
        let warnings = self.deployer.load(&read.loaded)?;
        for warning in read.warnings().iter().chain(&warnings) {
            tracing::warn!("{warning}");
        }
        Ok(read)
    }

    /// The process goes on with the settings it started with, so the next comparison must be against those.
    fn keep_settings(&self, new: Config) -> Config {
        Config {
            server: self.read.loaded.config.server.clone(),
            lambda: self.read.loaded.config.lambda.clone(),
            ..new
        }
    }
}
