//! Opens the control plane: where its documents are kept, and what files declare beside them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connection_store::{
    DiskDocuments, DocumentStore, Documents, LocalDocuments, MemoryDocuments, RedisDocuments,
    RedisUrl,
};

use super::deploy;
use super::deployer::Deployer;
use super::sources::Read;
use crate::config::Store;
use crate::control::{Control, Settings};

/// How long a call to the store may take.
const CALL: Duration = Duration::from_secs(2);
/// The folder of the control plane's documents below `server.dataDir`.
const FOLDER: &str = "control";

/// Opens it, serves what it holds, and declares what the file says. A sentence for the operator where that fails.
pub(super) async fn open(
    read: &Read,
    deployer: &Arc<Deployer>,
    public: SocketAddr,
) -> Result<Arc<Control>, String> {
    let config = Arc::new(read.loaded.config.clone());
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
    control.declare(&read.account).await;
    Ok(Arc::new(control))
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

fn on_redis(url: &RedisUrl) -> Result<Arc<dyn DocumentStore>, String> {
    let store = RedisDocuments::connect(url.clone(), CALL);
    let store = store.map_err(|error| format!("server.store cannot be used: {error}"))?;
    Ok(Arc::new(store))
}
