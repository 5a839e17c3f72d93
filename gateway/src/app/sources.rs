//! The files that say what is served: `wiregate.yaml` and templates, read together, refused together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::control::{Account, Kind, describe, describe_domain};
use gateway_core::resource::{Function, Preset};

use crate::config::template::{self, Inputs, Setting, Template};
use crate::config::{self, Config, ConfigErrors, Diagnostic, Loaded, Origin, Overrides};
use crate::control;
use crate::dev::env_files::{self, EnvFile};
use crate::dev::folders::Folders;
use crate::dev::laptop::Laptop;
use crate::functions::private_temporary;

/// What the command line names.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `wiregate.yaml`, where there is one.
    pub file: Option<PathBuf>,
    /// What flags lay over it.
    pub overrides: Overrides,
    /// CloudFormation and SAM templates, and `serverless.yml`.
    pub templates: Vec<PathBuf>,
    /// Values for their parameters.
    pub parameters: BTreeMap<String, String>,
    /// `--stage` of a `serverless.yml`.
    pub stage: Option<String>,
    /// It is `wiregate dev`.
    pub dev: Option<Arc<Laptop>>,
}

/// What the files say, without a mistake.
#[derive(Debug)]
pub struct Read {
    /// `wiregate.yaml`.
    pub loaded: Loaded,
    /// The templates, in the order in which they were named.
    pub templates: Vec<Template>,
    /// What all of them declare, as the control plane shows it.
    pub account: Account,
    /// Variables for functions, the weakest first.
    pub env_files: Vec<EnvFile>,
    /// Code that stands in a template itself, by the file that it belongs into.
    pub inline_code: Vec<(PathBuf, String)>,
    /// What keeps functions of templates from running here, and what those go without that do.
    pub notices: Vec<Diagnostic>,
}

impl Sources {
    /// Reads all files.
    pub fn read(&self) -> Result<Read, ConfigErrors> {
        let mut loaded = config::load(config::Request {
            file: self.file.as_deref(),
            env: std::env::vars(),
            overrides: self.overrides.clone(),
            default_preset: match self.dev {
                Some(_) => Preset::Aws,
                None => Preset::Open,
            },
        })?;
        let templates = self.templates(&loaded.config)?;
        // Whether the rules take what the templates declare is known before anything is served.
        let account = account(&loaded, &templates)?;
        let env_files = match &self.dev {
            Some(laptop) => env_files::read(&laptop.options)?,
            None => Vec::new(),
        };
        let mut local = self.local(&loaded.config, &templates);
        // From here on there is no difference between them and those of the settings.
        loaded.config.lambda.local.append(&mut local.functions);
        if let Some(laptop) = &self.dev {
            let apis = api_ids(&loaded.config, &templates);
            let domains = declared(&templates, Kind::DomainName);
            laptop
                .complete(&mut loaded.config, &apis, &domains)
                .map_err(|message| mistake("wiregate dev", message))?;
        }
        Ok(Read {
            loaded,
            templates,
            account,
            env_files,
            inline_code: local.inline_code,
            notices: local.notices,
        })
    }

    /// Further files whose change is worth a look.
    pub fn watched_besides(&self) -> impl Iterator<Item = PathBuf> {
        let laptop = self.dev.iter();
        laptop.flat_map(|laptop| env_files::watched(&laptop.options))
    }

    /// Functions of templates that no setting says another place for.
    fn local(&self, config: &Config, templates: &[Template]) -> Local {
        let cache = match &self.dev {
            Some(laptop) => laptop.folders.cache.clone(),
            None => Folders::of(|name| std::env::var(name).ok())
                .map_or_else(|_| private_temporary(), |folders| folders.cache),
        };
        let mut local = Local::default();
        let lambda = &config.lambda;
        if lambda.endpoint.is_some() {
            return local;
        }
        for template in templates {
            local.add(template, &cache, |name| {
                lambda.functions.contains_key(name) || lambda.local.contains_key(name)
            });
        }
        local
    }

    fn templates(&self, config: &Config) -> Result<Vec<Template>, ConfigErrors> {
        let inputs = Inputs {
            region: config.server.region.clone(),
            account_id: config.server.account_id.clone(),
            parameters: self.parameters.clone(),
            stage: self.stage.clone(),
            environment: std::env::vars().collect(),
        };
        self.templates
            .iter()
            .map(|file| template::load(file, &inputs))
            .collect()
    }
}

impl Read {
    /// What is legal but probably not meant, or only kept.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let notices = self.templates.iter().flat_map(|template| &template.notices);
        let warnings = self.loaded.warnings.iter().chain(notices).cloned();
        warnings.chain(self.notices.iter().cloned()).collect()
    }

    /// Puts code that stands in a template into the files from which it is run.
    pub fn write_inline_code(&self) -> Result<(), String> {
        for (file, text) in &self.inline_code {
            let written = file
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(file, text));
            written.map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
        }
        Ok(())
    }

    /// The files whose change is worth a look, apart from `wiregate.yaml`.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let server = &self.loaded.config.server;
        let public = server.tls.as_ref().map(|tls| tls.files.as_slice());
        let nodes = server.cluster.tls.as_ref().map(|tls| tls.files.as_slice());
        let pem = public.into_iter().chain(nodes).flatten();
        pem.chain(self.templates.iter().flat_map(|template| &template.files))
    }
}

/// What of templates runs here.
#[derive(Default)]
struct Local {
    functions: BTreeMap<String, Function>,
    inline_code: Vec<(PathBuf, String)>,
    notices: Vec<Diagnostic>,
}

impl Local {
    fn add(&mut self, template: &Template, cache: &Path, is_elsewhere: impl Fn(&str) -> bool) {
        for (declared, runnable) in template.runnable(cache) {
            if is_elsewhere(&declared.name) {
                continue;
            }
            match runnable {
                Ok(runnable) => {
                    let mut function = runnable.function;
                    // Workers have a working directory of their own.
                    if let Ok(code) = std::path::absolute(&function.code) {
                        function.code = code;
                    }
                    self.functions.insert(function.name.clone(), function);
                    self.inline_code.extend(runnable.inline);
                    self.notices.extend(runnable.notices);
                }
                Err(why) => self.notices.push(why),
            }
        }
    }
}

fn api_ids(config: &Config, templates: &[Template]) -> Vec<String> {
    let written = config.apis.iter().map(|api| api.api_id.clone());
    written.chain(declared(templates, Kind::Api)).collect()
}

/// Ids of what templates declare of a kind.
fn declared(templates: &[Template], kind: Kind) -> Vec<String> {
    let all = templates.iter().flat_map(|template| &template.declared);
    let of_kind = all.filter(|declared| declared.kind == kind);
    of_kind.map(|declared| declared.id.clone()).collect()
}

fn mistake(place: &str, message: String) -> ConfigErrors {
    ConfigErrors::from(vec![Diagnostic {
        file: place.into(),
        origin: Origin::WholeFile,
        path: String::new(),
        message,
        hint: None,
    }])
}

/// What the files declare. Where clients would find the APIs stands in no document, so it need not be known yet.
fn account(loaded: &Loaded, templates: &[Template]) -> Result<Account, ConfigErrors> {
    let Config { apis, server, .. } = &loaded.config;
    let (file, now) = (loaded.located.file(), control::now());
    let mut account = Account::default();
    for api in apis {
        account.place_api(describe(api, file, &now));
    }
    for domain in &server.domains {
        let mappings = domain.mappings.iter();
        let mappings =
            mappings.map(|m| (m.api_mapping_key.as_str(), m.api.as_str(), m.stage.as_str()));
        account.place_domain_name(describe_domain(
            &domain.domain_name,
            mappings,
            file,
            &server.region,
        ));
    }
    let setting = Setting {
        now: &now,
        region: &server.region,
        account_id: &server.account_id,
        endpoint: &|_, _| String::new(),
    };
    for template in templates {
        template::apply(template, &mut account, &setting).map_err(ConfigErrors::from)?;
    }
    Ok(account)
}
