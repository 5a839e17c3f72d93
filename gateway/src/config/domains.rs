//! Reads `server.domains`: custom domain names and the stages they show.

use std::collections::HashSet;

use super::reader::Cursor;
use super::server::{Stages, host_name, is_first};
use super::settings::{ApiMapping, Domain};

pub(super) fn read(list: &Cursor<'_>, apis: &Stages) -> Vec<Domain> {
    let mut names = HashSet::new();
    let mut domains = Vec::new();
    for cursor in list.items() {
        let Some(mut fields) = cursor.fields() else {
            continue;
        };
        let name_at = fields.required("domainName");
        let mappings = fields.required("mappings");
        fields.finish();
        let mappings = mappings.map(|list| read_mappings(&list, apis));
        let Some(name_at) = name_at else { continue };
        let Some(domain_name) = host_name(&name_at) else {
            continue;
        };
        if is_first(&mut names, &name_at, &domain_name) {
            domains.push(Domain {
                domain_name,
                mappings: mappings.unwrap_or_default(),
            });
        }
    }
    domains
}

fn read_mappings(list: &Cursor<'_>, apis: &Stages) -> Vec<ApiMapping> {
    let mut keys = HashSet::new();
    let mut mappings = Vec::new();
    for cursor in list.items() {
        let Some(mapping) = read_mapping(&cursor, apis) else {
            continue;
        };
        if is_first(&mut keys, &cursor, &mapping.api_mapping_key) {
            mappings.push(mapping);
        }
    }
    mappings
}

fn read_mapping(cursor: &Cursor<'_>, apis: &Stages) -> Option<ApiMapping> {
    let mut fields = cursor.fields()?;
    let key = fields.read("apiMappingKey", mapping_key);
    let api_at = fields.required("api");
    let stage_at = fields.required("stage");
    fields.finish();
    let (api_at, stage_at) = (api_at?, stage_at?);
    let (api, stage) = (api_at.string()?, stage_at.string()?);
    if !api_at.refers("API", &api, apis) {
        return None;
    }
    let stages = apis.get(&api)?;
    if !stage_at.refers("stage", &stage, stages) {
        return None;
    }
    Some(ApiMapping {
        api_mapping_key: key.unwrap_or_default(),
        api,
        stage,
    })
}

/// One segment of a path: mappings of several levels exist for HTTP and REST APIs only.
fn mapping_key(cursor: &Cursor<'_>) -> Option<String> {
    let key = cursor.text()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "$-_.+!*'()".contains(c);
    if !key.chars().all(legal) {
        cursor.expected("one segment of a path without slashes", None);
        return None;
    }
    Some(key.to_owned())
}
