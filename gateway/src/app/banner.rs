//! What is told once all is ready: what is served, where, and what should be known of it.

use std::io::Write;
use std::net::SocketAddr;

use gateway_core::address::Directory;

use super::functions::OnLaptop;
use super::process::worker_count;
use super::workers::Shared;
use crate::config::template::Template;
use crate::config::{Diagnostic, LogFormat, Store};

/// What is told when all is ready.
pub(super) struct Banner<'a> {
    pub(super) nodes: Option<SocketAddr>,
    pub(super) warnings: &'a [Diagnostic],
    pub(super) templates: &'a [Template],
    /// Room for connections.
    pub(super) places: usize,
    pub(super) laptop: Option<&'a OnLaptop>,
}

/// The banner says what is served, where, with which store and preset; the line that begins with `ready` is for programs.
pub(super) fn announce(shared: &Shared, banner: &Banner<'_>) {
    let Banner {
        nodes,
        warnings,
        templates,
        places,
        laptop,
    } = banner;
    let mut out = std::io::stdout().lock();
    let served = shared.stages.load();
    let mut lines = vec![format!(
        "wiregate {} · store: {} · room for {places} connections · {} workers",
        env!("CARGO_PKG_VERSION"),
        match &shared.config.server.store {
            Store::Memory => "memory".to_owned(),
            Store::Redis(_) => format!("Redis, as node {}", shared.node.id()),
        },
        worker_count(&shared.config),
    )];
    let schemes: &[&str] = match &shared.config.server.tls {
        None => &["ws"],
        Some(tls) if tls.required => &["wss"],
        Some(_) => &["wss", "ws"],
    };
    let mut deployed: Vec<_> = served.deployed().collect();
    deployed.sort_by(|a, b| a.callback_url.cmp(&b.callback_url));
    for stage in &deployed {
        let live = &stage.live;
        let path = served.directory.stage_path(&live.api_id, &live.stage_name);
        let preset = format!("{:?}", live.limits.preset).to_lowercase();
        let urls: Vec<String> = schemes
            .iter()
            .map(|scheme| format!("{scheme}://{}{path}", shared.public))
            .collect();
        lines.push(format!(
            "  {} {}: {} (preset {preset})",
            live.api_id,
            live.stage_name,
            urls.join(" and ")
        ));
        lines.push(format!(
            "    backends post to {}/@connections/{{connectionId}}",
            stage.callback_url
        ));
        if live.allowed_origins.is_none() {
            lines.push(
                "    any Origin may connect; set allowedOrigins if browsers carry cookies"
                    .to_owned(),
            );
        }
    }
    if let Some(laptop) = laptop {
        let secure = deployed.first().map(|stage| {
            let Directory { public_host, .. } = &served.directory;
            let (id, name) = (&stage.live.api_id, &stage.live.stage_name);
            format!(
                "wss://{public_host}{}",
                served.directory.stage_path(id, name)
            )
        });
        lines.extend(laptop.banner(&shared.config, secure.as_deref()));
    }
    for template in *templates {
        let outputs = template.outputs.iter();
        lines.extend(
            outputs
                .map(|(name, value)| format!("  {} output {name}: {value}", template.stack_name)),
        );
    }
    if deployed.is_empty() {
        let hint = "serving no API yet: every handshake is answered 403; name a file with --config or --template, or use aws apigatewayv2";
        lines.push(format!("  warning: {hint}"));
    }
    lines.extend(
        warnings
            .iter()
            .map(|warning| format!("  warning: {warning}")),
    );
    // Who asked for JSON reads lines by program.
    let json = shared.config.server.log.format == LogFormat::Json;
    // A closed stdout must not keep the gateway from serving.
    for line in &lines {
        if json {
            tracing::info!("{}", line.trim());
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    if json && laptop.is_some() {
        let ready = serde_json::json!({
            "kind": "ready",
            "public": shared.public,
            "management": shared.management,
        });
        let _ = writeln!(out, "{ready}");
        let _ = out.flush();
        return;
    }
    let nodes = nodes.map_or(String::new(), |nodes| format!(" nodes={nodes}"));
    let _ = writeln!(
        out,
        "ready public={} management={}{nodes}",
        shared.public, shared.management
    );
    let _ = out.flush();
}
