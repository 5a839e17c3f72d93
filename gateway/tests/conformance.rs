//! docs/conformance.md promises a test, or a reason, for each thing that AWS does: this reads the page and looks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/conformance.md";

/// The page's sections, and how many lines each has at least: a line may be added, and none forgotten.
const SECTIONS: [(&str, usize); 7] = [
    ("Error frames", 19),
    ("Handshakes", 32),
    ("Close codes", 14),
    ("Quotas", 29),
    ("`@connections`", 16),
    ("The control plane", 20),
    ("Attacks and ill luck", 29),
];

/// What a line says in its last cell where it has no test.
const EXCUSE: &str = "No test: ";

fn repository() -> PathBuf {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    gateway.parent().expect("gateway lies in it").to_owned()
}

/// A line of a table, by the section it stands in.
struct Row<'a> {
    section: &'a str,
    number: usize,
    cells: Vec<&'a str>,
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let mut section = "";
    let mut rows = Vec::new();
    for (at, line) in page.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim();
        }
        let Some(inside) = line.trim_end().strip_prefix('|') else {
            continue;
        };
        let inside = inside.strip_suffix('|').unwrap_or(inside);
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        let is_head = cells.last().is_some_and(|cell| *cell == "shown by")
            || cells.iter().all(|cell| cell.starts_with("---"));
        if !is_head {
            rows.push(Row {
                section,
                number: at + 1,
                cells,
            });
        }
    }
    rows
}

/// What is wrong with a line; `find` says whether a file has a test of that name.
fn judge(cells: &[&str], find: impl Fn(&str, &str) -> Result<(), String>) -> Result<(), String> {
    let [aws, ours, shown] = cells else {
        return Err(format!("{} cells, not 3", cells.len()));
    };
    if aws.is_empty() || ours.is_empty() {
        return Err("an empty cell".to_owned());
    }
    if let Some(reason) = shown.strip_prefix(EXCUSE) {
        return if reason.len() < 10 {
            Err(format!("'{reason}' is no reason"))
        } else {
            Ok(())
        };
    }
    let mut tests = 0;
    for named in shown.split('`').skip(1).step_by(2) {
        let (file, name) = named
            .split_once("::")
            .ok_or_else(|| format!("'{named}' is no test: write path/of/file.rs::name"))?;
        find(file, name)?;
        tests += 1;
    }
    if tests == 0 {
        return Err(format!(
            "neither a test nor a reason: name one, or begin with '{EXCUSE}'"
        ));
    }
    Ok(())
}

/// Whether `source` has a function of that name that the test runner runs.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let defines = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line.strip_prefix("fn ");
        rest.and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| defines(line))
        .any(|(at, _)| {
            let above = lines[..at].iter().rev();
            let mut above = above.take_while(|line| line.starts_with(['#', '/']));
            above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        })
}

#[test]
fn every_line_has_a_test_that_is_there_or_a_reason() {
    let root = repository();
    let page = fs::read_to_string(root.join(PAGE)).expect("the page is there");
    let find = |file: &str, name: &str| {
        let source = fs::read_to_string(root.join(file))
            .map_err(|error| format!("{file} cannot be read: {error}"))?;
        has_test(&source, name)
            .then_some(())
            .ok_or_else(|| format!("{file} has no test '{name}'"))
    };
    let rows = rows(&page);
    let mut complaints = String::new();
    for row in &rows {
        if let Err(complaint) = judge(&row.cells, find) {
            writeln!(complaints, "{PAGE}:{}: {complaint}", row.number).unwrap();
        }
    }
    for (section, least) in SECTIONS {
        let found = rows.iter().filter(|row| row.section == section).count();
        if found < least {
            writeln!(
                complaints,
                "{PAGE}: section {section} has {found} lines, not {least}"
            )
            .unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn a_line_is_judged_by_its_last_cell() {
    #[track_caller]
    fn check(line: &str, expected: Result<(), &str>) {
        let rows = rows(line);
        let found = judge(&rows[0].cells, |file, name| {
            (file == "a.rs" && name == "b")
                .then_some(())
                .ok_or_else(|| "no such test".to_owned())
        });
        let found = found.as_ref().copied().map_err(String::as_str);
        assert_eq!(found, expected, "{line}");
    }
    let neither = "neither a test nor a reason: name one, or begin with 'No test: '";
    check("| 410 | the same | `a.rs::b` |", Ok(()));
    check("| 410 | the same | `a.rs::b`, `a.rs::b` |", Ok(()));
    check("| 410 | the same | No test: it cannot happen |", Ok(()));
    check("| 410 | the same | No test:  |", Err(neither));
    check(
        "| 410 | the same | No test: why |",
        Err("'why' is no reason"),
    );
    check("| 410 | the same |  |", Err(neither));
    check("| 410 | the same | a.rs::b |", Err(neither));
    check("| 410 | the same | `a.rs::c` |", Err("no such test"));
    check(
        "| 410 | the same | `a.rs::b`, `x` |",
        Err("'x' is no test: write path/of/file.rs::name"),
    );
    check("| 410 |  | `a.rs::b` |", Err("an empty cell"));
    check("| 410 | `a.rs::b` |", Err("2 cells, not 3"));
}

#[test]
fn a_test_is_a_function_that_the_runner_runs() {
    let source = "/// Says.\n#[tokio::test(start_paused = true)]\nasync fn a() {}\nfn b() {}\n\
                  #[test]\n#[allow(x)]\n// Why.\nfn c_d() {}\n#[test]\n\nfn e() {}";
    for (name, expected) in [
        ("a", true),
        ("b", false),
        ("c_d", true),
        ("c", false),
        ("e", false),
        ("f", false),
    ] {
        assert_eq!(has_test(source, name), expected, "{name}");
    }
}
