//! The templates of `tests/templates`, each beside a page of what it declares, and what parameters make of them.

use super::*;

/// The parameters with which a template of the folder is loaded.
fn inputs_for(name: &str) -> Inputs {
    match name {
        "serverless-object" => with(&[("cf:network-dev.VpcId", "vpc-1")]),
        _ => inputs(),
    }
}

/// A template with its name: a file of the folder, or the service in a folder of it.
fn templates() -> Vec<(String, PathBuf)> {
    let mut templates = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            templates.push((name, path.join("serverless.yml")));
        } else if path
            .extension()
            .is_none_or(|extension| extension != "declares")
        {
            templates.push((name, path));
        }
    }
    templates.sort();
    templates
}

/// Everything that a template declares and what is said of it.
fn page(template: &Template) -> String {
    let mut page = table(template);
    for notice in notices(template) {
        writeln!(page, "notice {notice}").unwrap();
    }
    page
}

#[test]
fn each_declares_what_its_page_says() {
    let templates = templates();
    assert!(templates.len() >= 15, "{templates:?}");
    for (name, path) in templates {
        let template = load(&path, &inputs_for(&name)).unwrap_or_else(|errors| panic!("{errors}"));
        let found = page(&template);
        let expected = folder().join(format!("{name}.declares"));
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(
            found == expected,
            "{name} declares\n{found}\nand its page says\n{expected}"
        );
    }
}

#[test]
fn each_declares_the_same_ids_again() {
    for (name, path) in templates() {
        let ids = || {
            let template = load(&path, &inputs_for(&name)).unwrap();
            let id = |declared: Declared| declared.id;
            template
                .declared
                .into_iter()
                .map(id)
                .collect::<Vec<String>>()
        };
        assert_eq!(ids(), ids(), "{name}");
    }
}
