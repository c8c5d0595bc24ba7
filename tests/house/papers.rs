//! What is written for people names what is there: the README, the changelog, the scripts' usage lines.

use std::os::unix::fs::PermissionsExt;

use crate::{files_below, nothing_wrong, read, top};

/// What stands between backticks in a text, outside blocks of code.
fn quoted(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The rows of the first table below a heading that speaks of tests, without its head.
fn table_of_what_is_tested(readme: &str) -> Vec<String> {
    readme
        .lines()
        .skip_while(|line| !(line.starts_with('#') && line.to_lowercase().contains("tested")))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(str::to_owned)
        .collect()
}

/// A path in the project, as papers name it: `tests/schema/main.rs`, `scripts/test --help`, `src/kinds/`.
fn path_in(quoted: &str) -> Option<&str> {
    let path = quoted.split_whitespace().next()?.trim_end_matches('/');
    let folder = path.split('/').next()?;
    let ours = [
        "tests",
        "scripts",
        "src",
        "docs",
        "migrations",
        "docker",
        ".ci",
        ".config",
    ];
    (ours.contains(&folder) && !path.contains(['*', '{', '<', '…'])).then_some(path)
}

#[test]
fn the_readme_says_what_is_tested_and_each_file_it_names_is_there() {
    let readme = read("README.md");
    let rows = table_of_what_is_tested(&readme);
    let mut wrong = Vec::new();
    if rows.is_empty() {
        wrong.push("README.md: no table below a heading with the word \"tested\"".to_owned());
    }
    for row in &rows {
        let named = quoted(row);
        if !named
            .iter()
            .filter_map(|text| path_in(text))
            .any(|path| path.starts_with("tests/"))
        {
            wrong.push(format!("README.md: names no file below tests/: {row}"));
        }
    }
    for text in quoted(&readme) {
        if let Some(path) = path_in(&text)
            && !top().join(path).exists()
        {
            wrong.push(format!("README.md: {path} does not exist"));
        }
    }
    nothing_wrong("The README:", wrong);
}

#[test]
fn every_test_binary_is_in_the_readme() {
    let readme = read("README.md");
    let mut wrong = Vec::new();
    for file in files_below("tests") {
        let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap()).collect();
        let folder = match parts.as_slice() {
            ["tests", folder, "main.rs"] => (*folder).to_owned(),
            ["tests", file] if file.ends_with(".rs") => file.trim_end_matches(".rs").to_owned(),
            _ => continue,
        };
        if !readme.contains(&format!("tests/{folder}")) {
            wrong.push(format!("tests/{folder}"));
        }
    }
    nothing_wrong("Not in the README's table of what is tested:", wrong);
}

#[test]
fn every_script_has_a_usage_line() {
    let mut wrong = Vec::new();
    let scripts = files_below("scripts").into_iter().chain([".ci/run".into()]);
    for file in scripts.chain(
        files_below("docker")
            .into_iter()
            .filter(|file| file.extension().is_some_and(|end| end == "sh")),
    ) {
        let text = read(&file);
        let mode = std::fs::metadata(top().join(&file))
            .unwrap()
            .permissions()
            .mode();
        if !text
            .lines()
            .take(2)
            .any(|line| line.starts_with("# Usage: "))
        {
            wrong.push(format!(
                "{}: no `# Usage:` in its first two lines",
                file.display()
            ));
        }
        if text.starts_with("#!") != (mode & 0o111 == 0o111) {
            wrong.push(format!(
                "{}: what starts with #! is executable, and nothing else",
                file.display()
            ));
        }
    }
    nothing_wrong("The scripts are the table of contents for hands:", wrong);
}

#[test]
fn the_licence_and_the_changelog_are_there() {
    let licence = read("LICENSE");
    assert!(
        licence.contains("GNU AFFERO GENERAL PUBLIC LICENSE")
            && licence.contains("Version 3, 19 November 2007")
    );
    assert!(
        licence.contains("END OF TERMS AND CONDITIONS"),
        "the whole text, not a part of it"
    );
    assert!(read("Cargo.toml").contains("license = \"AGPL-3.0-only\""));
    assert!(read("CHANGELOG.md").contains("## Unreleased"));
}

#[test]
fn paths_and_tables_are_read_from_a_paper() {
    let readme = "# A\n| no | table |\n## What is tested\ntext\n\n| what | where |\n|---|---|\n| x | `tests/x/main.rs` |\n| y | `tests/y` |\n\n| z |";
    assert_eq!(table_of_what_is_tested(readme).len(), 2);
    let paths: Vec<String> = quoted(readme)
        .iter()
        .filter_map(|text| path_in(text))
        .map(str::to_owned)
        .collect();
    assert_eq!(paths, ["tests/x/main.rs", "tests/y"]);
    assert_eq!(path_in("cargo run"), None);
    assert_eq!(path_in("scripts/test -E x"), Some("scripts/test"));
}
