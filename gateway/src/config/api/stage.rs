//! Reads `stages`.

use std::collections::{BTreeMap, HashSet};

use gateway_core::resource::{RouteSettings, Stage};

use crate::config::diagnostic::quoted;
use crate::config::keyed::{self, Keyed};
use crate::config::reader::Cursor;
use crate::config::scalar;

/// The stage of an API that names none.
pub(super) fn default_stage() -> Stage {
    Stage {
        stage_name: "dev".to_owned(),
        ..Stage::default()
    }
}

pub(super) fn read_all(map: &Cursor<'_>, route_keys: &HashSet<String>) -> Vec<Stage> {
    let members = keyed::read(map, "stageName");
    members.iter().map(|m| read(m, route_keys)).collect()
}

fn read(member: &Keyed<'_>, route_keys: &HashSet<String>) -> Stage {
    if member.id != "$default" && !scalar::is_name(member.id, 128) {
        member.mistake(
            format!(
                "{} is no name of a stage: up to 128 letters, digits, - and _, or $default",
                quoted(member.id)
            ),
            None,
        );
    }
    let mut stage = Stage {
        stage_name: member.id.to_owned(),
        ..Stage::default()
    };
    let Some(mut fields) = member.fields() else {
        return stage;
    };
    fields.set("stageVariables", &mut stage.stage_variables, |map| {
        Some(variables(map))
    });
    fields.set(
        "defaultRouteSettings",
        &mut stage.default_route_settings,
        settings,
    );
    fields.set("routeSettings", &mut stage.route_settings, |map| {
        Some(settings_by_route(map, route_keys))
    });
    fields.finish();
    stage
}

fn variables(map: &Cursor<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (entry, cursor) in map.members() {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if entry.key.is_empty() || !entry.key.chars().all(legal) {
            cursor.mistake("the name of a stage variable consists of letters, digits and _");
        } else if let Some(value) = cursor.text() {
            variables.insert(entry.key.clone(), value.to_owned());
        }
    }
    variables
}

fn settings_by_route(
    map: &Cursor<'_>,
    route_keys: &HashSet<String>,
) -> BTreeMap<String, RouteSettings> {
    let mut by_route = BTreeMap::new();
    for (entry, cursor) in map.members() {
        if cursor.refers("route", &entry.key, route_keys)
            && let Some(settings) = settings(&cursor)
        {
            by_route.insert(entry.key.clone(), settings);
        }
    }
    by_route
}

/// Here 0 is a limit like any other: nothing passes.
fn settings(cursor: &Cursor<'_>) -> Option<RouteSettings> {
    let mut fields = cursor.fields()?;
    let settings = RouteSettings {
        throttling_rate_limit: fields.read("throttlingRateLimit", Cursor::number),
        throttling_burst_limit: fields.read("throttlingBurstLimit", |at| at.count(0)),
    };
    fields.finish();
    Some(settings)
}
