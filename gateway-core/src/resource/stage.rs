//! Where an API is served.

use std::collections::BTreeMap;

/// Throttling of a route in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RouteSettings {
    /// Calls a second; `None` does not limit, an explicit 0 lets nothing through.
    pub throttling_rate_limit: Option<f64>,
    /// Calls at once.
    pub throttling_burst_limit: Option<u32>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stage {
    /// The first segment of its URL: `[A-Za-z0-9_-]{1,128}`, or `$default`.
    pub stage_name: String,
    /// Values for `${stageVariables.name}`.
    pub stage_variables: BTreeMap<String, String>,
    /// Throttling of every route that has no settings of its own.
    pub default_route_settings: RouteSettings,
    /// Throttling by route key.
    pub route_settings: BTreeMap<String, RouteSettings>,
}
