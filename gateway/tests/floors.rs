//! The rules of this repository that a compiler does not know: which room may use which, what every crate says of
//! itself, what the README names. ARCHITECTURE.md says why.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of this crate, from the ground. A room may use those of the lines above its own and no others: not the
/// lines below, and not its neighbours.
const LEVELS: [(&str, &[&str]); 10] = [
    ("floor 1, the ground", &["env"]),
    ("floor 1", &["codec", "config", "observe"]),
    ("floor 2, the function host", &["functions"]),
    ("floor 2, adapters", &["integration", "node", "respond"]),
    ("floor 3, the walk", &["pipeline"]),
    (
        "floor 4, front doors",
        &[
            "websocket",
            "callback",
            "control",
            "lambda_api",
            "management",
        ],
    ),
    ("floor 5, listeners", &["listen"]),
    ("floor 5, the laptop", &["dev"]),
    ("floor 5, wiring", &["app"]),
    ("floor 5, command line", &["cli"]),
];

/// What gateway-core must do without: runtimes, sockets, clients, and crates that look at a clock or toss a coin.
const TOO_WORLDLY: [&str; 12] = [
    "tokio",
    "hyper",
    "hyper-util",
    "axum",
    "redis",
    "async-trait",
    "socket2",
    "getrandom",
    "rand",
    "uuid",
    "tracing",
    "futures-util",
];

fn level(room: &str) -> Option<usize> {
    LEVELS.iter().position(|(_, rooms)| rooms.contains(&room))
}

fn repository() -> PathBuf {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    gateway.parent().expect("gateway lies in it").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_room_uses_only_what_lies_below_it() {
    let source = repository().join("gateway/src");
    let mut complaints = String::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("it was found there");
        let Some(module) = Module::of(inside) else {
            continue;
        };
        for used in uses(&read(&file), module.depth) {
            if let Some(complaint) = judge(&module.room, &used.room) {
                let (shown, line) = (inside.display(), used.line);
                writeln!(complaints, "gateway/src/{shown}:{line}: {complaint}").unwrap();
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "imports that climb or step sideways:\n{complaints}\
         A room uses the floors below its own (ARCHITECTURE.md, Floors). Move what both need further down, hand it in \
         as an argument from `app`, or send it over a channel that `app` connects."
    );
}

#[test]
fn every_room_has_its_floor() {
    let library = read(&repository().join("gateway/src/lib.rs"));
    let mut declared: Vec<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(|rest| rest.trim_end_matches(';'))
        .collect();
    let mut placed: Vec<&str> = LEVELS
        .iter()
        .flat_map(|(_, rooms)| *rooms)
        .copied()
        .collect();
    declared.sort_unstable();
    placed.sort_unstable();
    assert_eq!(
        declared, placed,
        "the rooms of gateway/src/lib.rs (left) and of LEVELS in this file (right) differ"
    );
}

#[test]
fn the_core_stays_out_of_the_world() {
    let manifest = read(&repository().join("gateway-core/Cargo.toml"));
    let dependencies = section(&manifest, "[dependencies]");
    let found: Vec<&str> = TOO_WORLDLY
        .into_iter()
        .filter(|name| {
            dependencies
                .lines()
                .any(|line| line.split(['.', ' ', '=']).next() == Some(name))
        })
        .collect();
    assert!(
        found.is_empty(),
        "gateway-core decides without a runtime, a clock or chance, and now depends on {found:?}: make what they give \
         an argument, and let `gateway` fetch it"
    );
}

#[test]
fn every_crate_says_what_it_is_for() {
    let root = repository();
    let manifest = read(&root.join("Cargo.toml"));
    let line = manifest
        .lines()
        .find(|line| line.starts_with("members"))
        .expect("the workspace names its members");
    let members: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"gateway"), "members were misread: {line}");
    for member in members {
        let path = root.join(member).join("Cargo.toml");
        let text = read(&path);
        let description = text
            .lines()
            .find_map(|line| line.strip_prefix("description = "))
            .unwrap_or_default();
        assert!(
            description.trim_matches('"').len() > 10,
            "{} has no description: say in a line what the crate is for",
            path.display()
        );
    }
}

#[test]
fn every_example_stands_in_the_readme() {
    let root = repository();
    let readme = read(&root.join("README.md"));
    let mut examples = 0;
    for entry in fs::read_dir(root.join("examples")).expect("examples is there") {
        let entry = entry.expect("the folder can be read");
        if entry.file_type().expect("its type is known").is_dir() {
            examples += 1;
            let name = format!("examples/{}", entry.file_name().to_string_lossy());
            assert!(
                readme.contains(&name),
                "README.md does not name {name}: say in a line what it shows"
            );
        }
    }
    assert!(examples > 0, "examples has no folder");
}

#[test]
fn every_option_and_metric_stands_in_the_documents() {
    let root = repository();
    let undocumented = |source: &str, page: &str, names: fn(&str) -> Vec<&str>, least: usize| {
        let (source_text, page_text) = (read(&root.join(source)), read(&root.join(page)));
        let names = names(&source_text);
        assert!(names.len() >= least, "{source} was misread: {names:?}");
        let lacks = |name: &&&str| {
            let beginnings = ["`", "`log.", "`cluster.", "`wiregate_"];
            !beginnings.iter().any(|begin| {
                let endings = ["`", "_total`"];
                endings
                    .iter()
                    .any(|end| page_text.contains(&format!("{begin}{name}{end}")))
            })
        };
        let missing: Vec<&&str> = names.iter().filter(lacks).collect();
        assert!(
            missing.is_empty(),
            "{page} says nothing of {missing:?} in {source}"
        );
    };
    undocumented(
        "gateway/wiregate.default.yaml",
        "docs/configuration.md",
        |yaml| {
            let keys = yaml.lines().filter(|line| line.starts_with("  "));
            let keys = keys.filter_map(|line| line.trim().split_once(':'));
            // A key with nothing behind it opens a map, whose members are looked for themselves.
            let options = keys.filter(|(key, value)| is_key(key) && !value.is_empty());
            options.map(|(key, _)| key).collect()
        },
        25,
    );
    undocumented(
        "gateway/src/config/api/limits.rs",
        "docs/configuration.md",
        |rust| quoted(rust).filter(|key| is_key(key)).collect(),
        20,
    );
    for (source, least) in [
        ("gateway/src/observe/metrics.rs", 10),
        ("gateway/src/observe/cluster.rs", 8),
        ("gateway/src/observe/functions.rs", 6),
    ] {
        undocumented(
            source,
            "docs/operations.md",
            |rust| {
                let registered = rust.split(".register(").skip(1);
                registered.filter_map(|rest| quoted(rest).next()).collect()
            },
            least,
        );
    }
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphabetic())
}

fn quoted(rust: &str) -> impl Iterator<Item = &str> {
    rust.split('"').skip(1).step_by(2)
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = repository();
    let mut pages: Vec<PathBuf> = [root.clone(), root.join("docs")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("the folder is there"))
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let mut dead = String::new();
    for page in &pages {
        let text = read(page);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.parent().expect("a page lies in a folder");
            let file = if path.is_empty() {
                page.clone()
            } else {
                folder.join(path)
            };
            let found =
                file.exists() && (anchor.is_empty() || anchors(&read(&file)).any(|a| a == anchor));
            if !found {
                writeln!(dead, "{}: {target}", page.display()).unwrap();
            }
        }
    }
    assert!(pages.len() > 5, "the documents were not found: {pages:?}");
    assert!(dead.is_empty(), "links that lead nowhere:\n{dead}");
}

/// What a heading is called in a link: lower case, words joined by hyphens, signs left out.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Where a file stands: its room, and how many `super` lead from it to the crate's root.
struct Module {
    room: String,
    depth: usize,
}

impl Module {
    /// `None` for `lib.rs` and `main.rs`, which belong to no room.
    fn of(inside: &Path) -> Option<Self> {
        let mut parts: Vec<String> = inside
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        let room = parts.first()?.clone();
        let root = parts.len() == 1 && matches!(room.as_str(), "lib" | "main");
        (!root).then_some(Self {
            room,
            depth: parts.len(),
        })
    }
}

/// Says what is wrong with one room using another.
fn judge(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some(own), Some(other)) = (level(from), level(to)) else {
        let stranger = if level(from).is_none() { from } else { to };
        return Some(format!(
            "`{stranger}` is no room of LEVELS in gateway/tests/floors.rs; give it a floor there"
        ));
    };
    let (own_floor, other_floor) = (LEVELS[own].0, LEVELS[other].0);
    match other.cmp(&own) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!(
            "`{from}` uses its neighbour `{to}` (both {own_floor})"
        )),
        std::cmp::Ordering::Greater => Some(format!(
            "`{from}` ({own_floor}) uses `{to}` ({other_floor}), which stands above it"
        )),
    }
}

/// One mention of a room.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    room: String,
    line: usize,
}

/// Every room that a file names by `crate::…`, or by as many `super` as lead to the root.
fn uses(text: &str, depth: usize) -> Vec<Use> {
    let tokens = tokens(text);
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let path_follows = |at: usize| word(at) == ":" && word(at + 1) == ":";
    let mut found = Vec::new();
    // For each open brace: whether it opened an inline module.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut after_root = None;
        match word(at) {
            "{" => braces.push(at >= 2 && word(at - 2) == "mod"),
            "}" => drop(braces.pop()),
            "crate" if path_follows(at + 1) => after_root = Some(at + 3),
            "super" if path_follows(at + 1) => {
                let inline = braces.iter().filter(|&&module| module).count();
                let (mut supers, mut next) = (1, at + 3);
                while word(next) == "super" && path_follows(next + 1) {
                    supers += 1;
                    next += 3;
                }
                if supers >= depth + inline {
                    after_root = Some(next);
                }
                at = next - 1;
            }
            _ => {}
        }
        if let Some(first) = after_root {
            let mut name = |at: usize| {
                found.push(Use {
                    room: word(at).to_owned(),
                    line: tokens[at].line,
                });
            };
            if word(first) == "{" {
                let mut open = 0;
                for next in first..tokens.len() {
                    match word(next) {
                        "{" => open += 1,
                        "}" => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        break;
                    }
                    if open == 1 && matches!(word(next), "{" | ",") && word(next + 1) != "}" {
                        name(next + 1);
                    }
                }
            } else if first < tokens.len() {
                name(first);
            }
        }
        at += 1;
    }
    found
}

struct Token {
    text: String,
    line: usize,
}

/// Words and signs, without comments, strings and characters.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let begin = at;
        match peek(at) {
            '/' if peek(at + 1) == '/' => {
                while at < chars.len() && peek(at) != '\n' {
                    at += 1;
                }
            }
            '/' if peek(at + 1) == '*' => {
                let mut open = 0;
                loop {
                    match (peek(at), peek(at + 1)) {
                        ('/', '*') => (open, at) = (open + 1, at + 2),
                        ('*', '/') => (open, at) = (open - 1, at + 2),
                        _ => at += 1,
                    }
                    if open == 0 || at >= chars.len() {
                        break;
                    }
                }
            }
            '"' => at = end_of_string(&chars, at),
            '\'' if peek(at + 1) == '\\' => {
                at += 3;
                while at < chars.len() && peek(at) != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if peek(at + 2) == '\'' => at += 3,
            c if is_word(c) => {
                while at < chars.len() && is_word(peek(at)) {
                    at += 1;
                }
                let word: String = chars[begin..at].iter().collect();
                let raw =
                    matches!(word.as_str(), "r" | "br" | "cr") && matches!(peek(at), '"' | '#');
                let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
                if raw && peek(at + hashes) == '"' {
                    at = end_of_raw_string(&chars, at + hashes + 1, hashes);
                } else {
                    tokens.push(Token { text: word, line });
                }
            }
            c => {
                if !c.is_whitespace() {
                    let text = c.to_string();
                    tokens.push(Token { text, line });
                }
                at += 1;
            }
        }
        line += chars[begin..at.min(chars.len())]
            .iter()
            .filter(|&&c| c == '\n')
            .count();
    }
    tokens
}

fn end_of_string(chars: &[char], begin: usize) -> usize {
    let mut at = begin + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw_string(chars: &[char], begin: usize, hashes: usize) -> usize {
    let mut at = begin;
    while at < chars.len() {
        let closes =
            chars[at] == '"' && chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The lines of one section of a manifest.
fn section<'a>(manifest: &'a str, header: &str) -> &'a str {
    let begin = manifest.find(header).expect("the section is there") + header.len();
    let rest = &manifest[begin..];
    &rest[..rest.find("\n[").unwrap_or(rest.len())]
}

#[track_caller]
fn check(source: &str, depth: usize, expected: &[(&str, usize)]) {
    let found = uses(source, depth);
    let found: Vec<(&str, usize)> = found.iter().map(|u| (u.room.as_str(), u.line)).collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn rooms_are_found_however_they_are_named() {
    check("use crate::node;", 1, &[("node", 1)]);
    check("use crate::node::{self, Outlet};", 1, &[("node", 1)]);
    check("\n\nlet x = crate::app::run();", 1, &[("app", 3)]);
    check("pub use crate :: env;", 1, &[("env", 1)]);
    check(
        "use crate::{env, node::{Outlet, Pushed},\n observe::Observe, };",
        1,
        &[("env", 1), ("node", 1), ("observe", 2)],
    );
    check("use crate::*;", 1, &[("*", 1)]);
    check("use ::http::Uri; use crate_x::y;", 1, &[]);
    check("use super::node;", 1, &[("node", 1)]);
    check("use super::node;", 2, &[]);
    check(
        "use super::super::{env, node};",
        2,
        &[("env", 1), ("node", 1)],
    );
    check("mod tests { use super::*; }", 1, &[]);
    check("mod tests { use super::super::app; }", 1, &[("app", 1)]);
    check("fn f() { super::app::run() }", 1, &[("app", 1)]);
    check("// crate::app\n/* crate::app /* x */ crate::cli */", 1, &[]);
    check(
        r##"let x = ("crate::app", r#"a" crate::app"#, '"', '\'');"##,
        1,
        &[],
    );
    check(
        "fn f<'a>(x: &'a str) { crate::env::now() }",
        1,
        &[("env", 1)],
    );
}

#[test]
fn only_what_lies_below_may_be_used() {
    let allowed = |from: &str, to: &str| judge(from, to).is_none();
    for (from, to) in [
        ("node", "node"),
        ("codec", "env"),
        ("pipeline", "integration"),
        ("websocket", "codec"),
        ("cli", "listen"),
        ("app", "listen"),
    ] {
        assert!(allowed(from, to), "{from} uses {to}");
    }
    for (from, to) in [
        ("env", "config"),
        ("codec", "config"),
        ("node", "respond"),
        ("node", "pipeline"),
        ("callback", "websocket"),
        ("listen", "app"),
        ("app", "cli"),
        ("node", "cellar"),
        ("attic", "node"),
        ("node", "*"),
    ] {
        assert!(!allowed(from, to), "{from} uses {to}");
    }
}
