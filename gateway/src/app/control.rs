//! Opens the control plane: where its documents are kept, and what files declare beside them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connection_store::{
    DiskDocuments, DocumentStore, Documents, LocalDocuments, MemoryDocuments, RedisDocuments,
    RedisUrl,
};
use gateway_core::control::{ApiDocuments, DomainDocuments, describe, describe_domain};

use super::deploy;
use super::deployer::Deployer;
use crate::config::{Config, Loaded, Secret, Store};
use crate::control::{self, Control, Settings};

/// How long a call to the store may take.
const CALL: Duration = Duration::from_secs(2);
/// The folder of the control plane's documents below `server.dataDir`.
const FOLDER: &str = "control";

/// Opens it, serves what it holds, and declares what the file says. A sentence for the operator where that fails.
pub(super) async fn open(
    loaded: &Loaded,
    deployer: &Arc<Deployer>,
    public: SocketAddr,
) -> Result<Arc<Control>, String> {
    let config = Arc::new(loaded.config.clone());
    let deployer = Arc::clone(deployer);
    let settings = Settings {
        region: config.server.region.clone(),
        account_id: config.server.account_id.clone(),
        endpoint: {
            let config = Arc::clone(&config);
            Box::new(move |api, protocol| deploy::endpoint(&config, public, api, protocol))
        },
        deploy: Box::new(move |account| deployer.take_over(account)),
    };
    let disk = match &config.server.data_dir {
        Some(folder) => Some(on_disk(&folder.join(FOLDER)).await?),
        None => None,
    };
    let (store, copy): (Arc<dyn DocumentStore>, _) = match (&config.server.store, disk) {
        (Store::Redis(url), disk) => (on_redis(url)?, disk),
        (Store::Memory, Some((disk, _))) => (Arc::new(LocalDocuments::new(disk)), None),
        (Store::Memory, None) => (Arc::new(MemoryDocuments::new()), None),
    };
    let opened = Control::open(settings, store, copy).await;
    let control =
        opened.map_err(|error| format!("what configures the APIs cannot be read: {error}"))?;
    let (apis, domains) = declared(loaded);
    control.declare(apis, domains).await;
    Ok(Arc::new(control))
}

/// What the file declares, as the control plane shows it.
pub(super) fn declared(loaded: &Loaded) -> (Vec<ApiDocuments>, Vec<DomainDocuments>) {
    let Config { apis, server, .. } = &loaded.config;
    let (file, now) = (loaded.located.file(), control::now());
    let apis = apis.iter().map(|api| describe(api, file, &now)).collect();
    let domains = server.domains.iter().map(|domain| {
        let mappings = domain.mappings.iter();
        let mappings =
            mappings.map(|m| (m.api_mapping_key.as_str(), m.api.as_str(), m.stage.as_str()));
        describe_domain(&domain.domain_name, mappings, file, &server.region)
    });
    (apis, domains.collect())
}

async fn on_disk(folder: &Path) -> Result<(DiskDocuments, Documents), String> {
    let path = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || DiskDocuments::open(&path)).await;
    let opened = opened.map_err(|error| error.to_string())?;
    let (disk, documents, warning) =
        opened.map_err(|error| format!("server.dataDir cannot be used: {error}"))?;
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    Ok((disk, documents))
}

fn on_redis(url: &Secret) -> Result<Arc<dyn DocumentStore>, String> {
    let url: RedisUrl = url
        .expose()
        .parse()
        .map_err(|error| format!("server.store cannot be used: {error}"))?;
    let store = RedisDocuments::connect(url, CALL);
    let store = store.map_err(|error| format!("server.store cannot be used: {error}"))?;
    Ok(Arc::new(store))
}
