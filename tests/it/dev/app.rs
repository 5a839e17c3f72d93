//! An app in a folder of its own, and `wiregate dev` in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use harness::{Gateway, GatewayCommand};
use tempfile::TempDir;

use crate::app::BINARY;
use crate::sdk::tool;

/// The packages that `tests/run` installs, and the Python that has boto3 and Lambda's runtime client.
const PACKAGES: &str = "sdk/node_modules";
const PYTHON: &str = ".tools/venv/bin/python";

/// A folder with an app.
pub(super) struct App {
    folder: TempDir,
}

impl App {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// With a template that has one API, its stage `dev`, and routes to functions of these names; each is written
    /// `key = Function`, with `(two-way)` behind it where its answer goes back. `functions` is YAML below `Resources`.
    pub(super) fn of(routes: &[&str], functions: &str) -> Self {
        Self::new().file("template.yaml", &template(routes, functions))
    }

    /// A copy of one of the examples.
    pub(super) fn example(name: &str) -> Self {
        let app = Self::new();
        copy(&tool(&format!("../examples/{name}")), app.path());
        app
    }

    /// Writes a file.
    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    /// The same while it runs.
    pub(super) fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // In one step: what is read meanwhile is whole.
        let beside = file.with_extension("tmp");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &file).unwrap();
    }

    /// With the npm packages that are installed for tests.
    pub(super) fn with_packages(self) -> Self {
        symlink(tool(PACKAGES), self.path().join("node_modules")).unwrap();
        self
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `wiregate dev` in it.
    pub(super) fn command(&self) -> GatewayCommand {
        GatewayCommand::dev(BINARY, self.path())
    }

    /// The same with the Python that is installed for tests.
    pub(super) fn python_command(&self) -> GatewayCommand {
        let file = self.path().join("python.env");
        fs::write(&file, python_variable()).unwrap();
        self.command().arg("--env-file").arg("python.env")
    }

    pub(super) async fn start(&self) -> Gateway {
        self.command().start().await
    }
}

/// The Python of the tests.
pub(super) fn python() -> PathBuf {
    tool(PYTHON)
}

/// The line of a file of variables by which functions find it.
pub(super) fn python_variable() -> String {
    format!("WIREGATE_PYTHON={}\n", python().display())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A function of a template: its properties as flow YAML.
pub(super) fn function(name: &str, properties: &str) -> String {
    format!("  {name}:\n    Type: AWS::Serverless::Function\n    Properties: {{ {properties} }}\n")
}

fn template(routes: &[&str], functions: &str) -> String {
    let mut text = String::from(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Api:\n    Type: AWS::ApiGatewayV2::Api\n    Properties: { Name: app, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action }\n  Stage:\n    Type: AWS::ApiGatewayV2::Stage\n    Properties: { ApiId: !Ref Api, StageName: dev, AutoDeploy: true }\n",
    );
    for (n, route) in routes.iter().enumerate() {
        let (key, rest) = route.split_once(" = ").unwrap();
        let (name, two_way) = match rest.strip_suffix(" (two-way)") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        text += &format!(
            "  Integration{n}:\n    Type: AWS::ApiGatewayV2::Integration\n    Properties: {{ ApiId: !Ref Api, IntegrationType: AWS_PROXY, IntegrationUri: !Sub 'arn:aws:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{name}.Arn}}/invocations' }}\n"
        );
        let expression = if two_way {
            ", RouteResponseSelectionExpression: $default"
        } else {
            ""
        };
        text += &format!(
            "  Route{n}:\n    Type: AWS::ApiGatewayV2::Route\n    Properties: {{ ApiId: !Ref Api, RouteKey: {key}, Target: !Sub 'integrations/${{Integration{n}}}'{expression} }}\n"
        );
        if two_way {
            text += &format!(
                "  Response{n}:\n    Type: AWS::ApiGatewayV2::RouteResponse\n    Properties: {{ ApiId: !Ref Api, RouteId: !Ref Route{n}, RouteResponseKey: $default }}\n"
            );
        }
    }
    text + functions
}
