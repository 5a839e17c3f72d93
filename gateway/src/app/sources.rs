//! The files that say what is served: `wiregate.yaml` and templates, read together, refused together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_core::control::{Account, describe, describe_domain};
use gateway_core::resource::Preset;

use crate::config::template::{self, Inputs, Setting, Template};
use crate::config::{self, Config, ConfigErrors, Diagnostic, Loaded, Origin, Overrides};
use crate::control;
use crate::dev;
use crate::dev::env_files::{self, EnvFile};

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
    pub dev: Option<dev::Options>,
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
}

impl Sources {
    /// Reads all files.
    pub fn read(&self) -> Result<Read, ConfigErrors> {
        let loaded = config::load(config::Request {
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
            Some(options) => env_files::read(options)?,
            None => Vec::new(),
        };
        Ok(Read {
            loaded,
            templates,
            account,
            env_files,
        })
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
        warnings.chain(self.homeless()).collect()
    }

    /// The functions of templates that no setting says the place of: integrations that call them fail.
    fn homeless(&self) -> impl Iterator<Item = Diagnostic> {
        let lambda = &self.loaded.config.lambda;
        let functions = self
            .templates
            .iter()
            .flat_map(|template| &template.functions);
        let homeless = functions.filter(|function| {
            lambda.endpoint.is_none()
                && !lambda.functions.contains_key(&function.name)
                && !lambda.local.contains_key(&function.name)
        });
        homeless.map(|function| Diagnostic {
            file: Arc::clone(&function.place.file),
            origin: Origin::File(function.place.position),
            path: function.logical_id.clone(),
            message: format!("nothing says where the function {} runs", function.name),
            hint: Some("set lambda.endpoint (WIREGATE_LAMBDA_ENDPOINT)".to_owned()),
        })
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
