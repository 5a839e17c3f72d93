//! `wiregate.yaml`: the operator's settings and the APIs, read once, checked whole.
//!
//! [`load`] lays the layers over each other (defaults < file < environment < flags), reads them into [`Config`], and either
//! returns all of it or every mistake with its place. Nothing here opens a port or starts a task.

mod api;
mod cluster;
mod cluster_tls;
mod decoration;
mod diagnostic;
mod domains;
mod effective;
mod files;
mod keyed;
mod lambda;
mod layers;
mod located;
mod net;
mod reader;
mod scalar;
mod secret;
mod secrets;
mod server;
mod settings;
pub mod template;
mod tls;
mod typed;
mod unbuilt;
mod watch;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::Path;

use gateway_core::resource::{Api, Preset};

use self::api::InlineIntegration;
use self::reader::{Cursor, Sink};
use self::server::Stages;
use self::yaml::Node;

pub use self::cluster::Cluster;
pub use self::cluster_tls::{ClusterTls, clients_of};
pub use self::diagnostic::{ConfigErrors, Diagnostic, Origin, Position};
pub use self::effective::render_effective;
pub use self::layers::{Origins, Overrides};
pub use self::located::Located;
pub use self::net::IpNet;
pub use self::secret::Secret;
pub use self::settings::{
    AccessLog, ApiMapping, Config, Credential, Domain, Function, Lambda, Log, LogFormat,
    OnStoreDown, Server, Store,
};
pub use self::tls::{Identity, Tls};
pub use self::watch::Watcher;

/// What to load.
#[derive(Debug)]
pub struct Request<'a, E> {
    /// `wiregate.yaml`; `None` where there is none.
    pub file: Option<&'a Path>,
    /// The environment: names and values. Only those that begin with `WIREGATE_` are looked at.
    pub env: E,
    /// What the command line says.
    pub overrides: Overrides,
    /// The preset of an API that names none: `open` for `serve`, `aws` for `dev`.
    pub default_preset: Preset,
}

/// Settings without a mistake.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// Where each value of the server came from.
    pub origins: Origins,
    /// What is legal but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Where everything stands in the file.
    pub located: Located,
    /// The preset of an API that names none.
    pub default_preset: Preset,
}

/// Reads the file and lays the other layers over it.
pub fn load<E>(request: Request<'_, E>) -> Result<Loaded, ConfigErrors>
where
    E: IntoIterator<Item = (String, String)>,
{
    let path = request.file.unwrap_or(Path::new("wiregate.yaml"));
    let sink = Sink::new(&path.to_string_lossy(), path.parent().unwrap_or(path));
    let text = request.file.map(|path| files::read(path, yaml::MAX_BYTES));
    let text = text.map(|read| read.map(|contents| contents.text));
    load_text(text, request, sink)
}

/// Everything after the file is text, or the reason why it could not be read.
fn load_text<E>(
    text: Option<Result<String, String>>,
    request: Request<'_, E>,
    sink: Sink,
) -> Result<Loaded, ConfigErrors>
where
    E: IntoIterator<Item = (String, String)>,
{
    let file = match text {
        None => File::Absent,
        Some(Ok(text)) => parse(&text, &sink),
        Some(Err(why)) => {
            let message = format!("the file cannot be read: {why}");
            sink.mistake(&Origin::WholeFile, String::new, message, || None);
            File::Lost
        }
    };
    let default_preset = request.default_preset;
    let parts = read(file, request, &sink);
    let name = sink.file().to_owned();
    let warnings = sink.finish()?;
    let Some((config, tree, inline)) = parts else {
        // Whoever returns nothing has said why; should one forget, the settings are still not loaded.
        return Err(ConfigErrors {
            mistakes: Vec::new(),
            more: 1,
        });
    };
    Ok(Loaded {
        config,
        origins: Origins::collect(&tree),
        warnings,
        located: Located::new(&name, tree, inline),
        default_preset,
    })
}

enum File {
    Absent,
    Tree(Node),
    /// It could not be read, and that has been said.
    Lost,
}

fn parse(text: &str, sink: &Sink) -> File {
    let (tree, flaws) = yaml::parse(text);
    for flaw in flaws {
        let hint = || flaw.hint.map(str::to_owned);
        let origin = Origin::File(flaw.position);
        sink.mistake(&origin, String::new, flaw.message, hint);
    }
    tree.map_or(File::Lost, File::Tree)
}

type Parts = (Config, Node, Vec<InlineIntegration>);

fn read<E>(file: File, request: Request<'_, E>, sink: &Sink) -> Option<Parts>
where
    E: IntoIterator<Item = (String, String)>,
{
    let mut tree = layers::defaults();
    let settings = layers::settings(&tree);
    let lost = matches!(file, File::Lost);
    if let File::Tree(written) = file {
        layers::overlay(&mut tree, written);
    }
    layers::apply_environment(&mut tree, &settings, request.env, sink);
    layers::apply_flags(&mut tree, &request.overrides);
    if lost {
        // Without the file, names and credentials would seem to be missing that are not.
        return None;
    }
    let root = Cursor::root(&tree, sink);
    let mut fields = root.fields()?;
    let (server_at, lambda_at) = (fields.take("server"), fields.take("lambda"));
    let (apis, inline) = match fields.take("apis") {
        Some(map) => api::read(&map, request.default_preset),
        None => (Vec::new(), Vec::new()),
    };
    fields.finish();
    let server = server::read(&server_at?, &stages_of(&apis));
    let lambda = lambda::read(&lambda_at?);
    unbuilt::check(&root);
    let config = Config {
        server: server?,
        lambda: lambda?,
        apis,
    };
    Some((config, tree, inline))
}

fn stages_of(apis: &[Api]) -> Stages {
    let of = |api: &Api| {
        let names = api.stages.iter().map(|stage| stage.stage_name.clone());
        (api.api_id.clone(), names.collect())
    };
    apis.iter().map(of).collect()
}
