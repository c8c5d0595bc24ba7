//! The federation crate: which version is in the tree, and that one file alone knows it.

use std::path::Path;

/// The first version whose client looks at addresses before it dials.
const LOWEST: (u64, u64, u64, u64) = (0, 7, 0, 14);

/// `0.7.0-beta.14` in numbers; a release is above all of its betas.
fn numbers(version: &str) -> (u64, u64, u64, u64) {
    let (release, beta) = match version.split_once("-beta.") {
        Some((release, beta)) => (release, beta.parse().unwrap()),
        None => (version, u64::MAX),
    };
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    let mut next = || parts.next().unwrap();
    (next(), next(), next(), beta)
}

#[test]
fn the_federation_crate_is_not_below_the_version_that_guards_its_client() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let versions: Vec<&str> = lock
        .split("[[package]]")
        .filter(|package| package.contains("name = \"activitypub_federation\""))
        .map(|package| {
            let rest = package.split("version = \"").nth(1).unwrap();
            rest.split('"').next().unwrap()
        })
        .collect();
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert!(numbers(versions[0]) >= LOWEST, "{versions:?}");
    assert!(numbers("0.7.0-beta.13") < LOWEST && numbers("0.6.9") < LOWEST);
    assert!(numbers("0.7.0-beta.14") >= LOWEST && numbers("0.7.0") > LOWEST);
}

#[test]
fn one_file_alone_knows_the_federation_crate() {
    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if std::fs::read_to_string(&path)
                .is_ok_and(|text| text.contains("activitypub_federation"))
            {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    files(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("src/fed/adapter.rs"), "{found:?}");
}
