//! The functions that run here: the host with what the settings say of it, and what of it a reload changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::resource::Function;

use crate::config::Config;
use crate::functions::{FunctionHost, HostSettings};
use crate::observe::Observe;

/// A host with the functions of the settings.
pub(super) fn start(config: &Config, observe: &Observe) -> std::io::Result<Arc<FunctionHost>> {
    let defaults = HostSettings::default();
    let max_workers = match config.lambda.max_workers {
        0 => defaults.max_workers,
        count => count as usize,
    };
    let host = FunctionHost::start(HostSettings {
        region: config.server.region.clone(),
        account_id: config.server.account_id.clone(),
        max_workers,
        idle_timeout: config.lambda.idle_timeout,
        metrics: observe.metrics.functions.clone(),
        ..defaults
    })?;
    for function in config.lambda.local.values() {
        host.put(function.clone());
    }
    Ok(host)
}

/// Brings what changed into force; `all`: also code that may have changed in its place.
pub(super) fn change(
    host: &FunctionHost,
    before: &BTreeMap<String, Function>,
    now: &BTreeMap<String, Function>,
    all: bool,
) {
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        host.remove(name);
        tracing::info!("the function {name} does not run here any more");
    }
    for (name, function) in now {
        if all || before.get(name) != Some(function) {
            host.put(function.clone());
            tracing::info!("the next calls of {name} get its present code");
        }
    }
}
