//! Brings what the file says and what the control plane holds into force, together: the one place where stages are swapped.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::control::Account;

use super::deploy::{Addresses, Deployment, compile_all};
use crate::config::{ConfigErrors, Diagnostic, Loaded};
use crate::node::Stages;
use crate::observe::Observe;

/// What is in force, and where.
#[derive(Debug)]
pub(super) struct Deployer {
    addresses: Addresses,
    stages: Arc<Stages>,
    observe: Arc<Observe>,
    in_force: Mutex<InForce>,
}

#[derive(Debug)]
struct InForce {
    loaded: Loaded,
    account: Account,
    /// What was said of routes that are closed.
    closed: Vec<String>,
}

impl Deployer {
    /// Serves the file's APIs; a mistake in them is all of the answer.
    pub(super) fn start(
        addresses: Addresses,
        stages: Arc<Stages>,
        observe: Arc<Observe>,
        loaded: Loaded,
    ) -> Result<(Self, Vec<Diagnostic>), ConfigErrors> {
        let account = Account::default();
        let deployment = compile_all(&loaded, &account, addresses).map_err(ConfigErrors::from)?;
        let warnings = deployment.warnings.clone();
        deployment.deploy(&stages, &observe.metrics);
        let in_force = Mutex::new(InForce {
            loaded,
            account,
            closed: Vec::new(),
        });
        Ok((
            Self {
                addresses,
                stages,
                observe,
                in_force,
            },
            warnings,
        ))
    }

    /// Serves a changed file; where it cannot be served, nothing changes.
    pub(super) fn load(&self, loaded: &Loaded) -> Result<Vec<Diagnostic>, ConfigErrors> {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let deployment =
            compile_all(loaded, &in_force.account, self.addresses).map_err(ConfigErrors::from)?;
        in_force.loaded = loaded.clone();
        let warnings = deployment.warnings.clone();
        self.swap(&mut in_force, deployment);
        Ok(warnings)
    }

    /// Serves what the control plane holds now.
    pub(super) fn take_over(&self, account: &Account) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.account = account.clone();
        match compile_all(&in_force.loaded, account, self.addresses) {
            Ok(deployment) => self.swap(&mut in_force, deployment),
            Err(mistakes) => {
                let mistakes = ConfigErrors::from(mistakes);
                tracing::error!(
                    "the configuration in force does not compile any more:\n{mistakes}"
                );
            }
        }
    }

    fn swap(&self, in_force: &mut InForce, deployment: Deployment) {
        for closed in &deployment.closed {
            if !in_force.closed.contains(closed) {
                tracing::error!("a route is closed until it can be served: {closed}");
            }
        }
        in_force.closed.clone_from(&deployment.closed);
        deployment.deploy(&self.stages, &self.observe.metrics);
    }
}
