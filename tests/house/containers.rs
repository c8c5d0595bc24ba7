//! docker/ without a Docker: the compose file is parsed and held to its promises, the Dockerfile read line by line.

use std::collections::BTreeSet;

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

use crate::{nothing_wrong, read, top};

fn compose() -> Yaml {
    let mut documents =
        YamlLoader::load_from_str(&read("docker/compose.yml")).expect("docker/compose.yml is YAML");
    assert_eq!(documents.len(), 1, "docker/compose.yml is one document");
    documents.remove(0)
}

fn map(yaml: &Yaml) -> Hash {
    yaml.as_hash().cloned().unwrap_or_default()
}

fn texts(yaml: &Yaml) -> Vec<String> {
    yaml.as_vec()
        .map(|list| {
            list.iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default()
}

/// A name with a tag that will mean the same tomorrow.
fn is_pinned(image: &str) -> bool {
    // `${NAME:?reason}` is a value from .env, and has a colon of its own.
    let mut plain = String::new();
    let mut rest = image;
    while let Some((before, after)) = rest.split_once("${") {
        plain.push_str(before);
        plain.push('x');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    match plain.rsplit('/').next().unwrap().split_once(':') {
        Some((_, tag)) => !tag.is_empty() && tag != "latest",
        None => false,
    }
}

fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap();
    name.is_empty() || name == "root" || name == "0"
}

/// What is wrong with one service.
fn complaints(name: &str, service: &Yaml, whole: &Yaml) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{name}: {what}"));

    if !is_pinned(service["image"].as_str().unwrap_or_default()) {
        say("image without a tag of its own".to_owned());
    }
    if service["user"].as_str().is_none_or(is_root) {
        say("runs as root: set user".to_owned());
    }
    if service["read_only"].as_bool() != Some(true) {
        say("root file system is not read_only".to_owned());
    }
    for forbidden in [
        "privileged",
        "network_mode",
        "pid",
        "ipc",
        "cap_add",
        "devices",
        "env_file",
    ] {
        if !service[forbidden].is_badvalue() {
            say(format!("{forbidden} is not needed"));
        }
    }
    if texts(&service["cap_drop"]) != ["ALL"]
        || texts(&service["security_opt"]) != ["no-new-privileges:true"]
    {
        say("keeps capabilities: cap_drop [ALL] and no-new-privileges".to_owned());
    }
    if service["healthcheck"]["test"]
        .as_vec()
        .is_none_or(|test| test.len() < 2)
    {
        say("no healthcheck".to_owned());
    }
    if service["restart"].as_str() != Some("unless-stopped") {
        say("does not come back after a restart of the machine".to_owned());
    }
    for volume in texts(&service["volumes"]) {
        let source = volume.split(':').next().unwrap();
        if !source.starts_with(['.', '/']) {
            if !map(&whole["volumes"]).contains_key(&Yaml::String(source.to_owned())) {
                say(format!("volume {source} is not declared"));
            }
        } else if !volume.ends_with(":ro") || !top().join("docker").join(source).is_file() {
            say(format!(
                "{volume}: of the machine's files only single ones that exist, and only :ro"
            ));
        }
    }
    if map(&service["volumes"]).is_empty() && texts(&service["volumes"]).is_empty() {
        say("keeps nothing: no named volume".to_owned());
    }
    for port in texts(&service["ports"]) {
        if !port.starts_with("127.0.0.1:") {
            say(format!(
                "port {port} is open to the network; the reverse proxy stands in front"
            ));
        }
    }
    for secret in texts(&service["secrets"]) {
        let path = whole["secrets"][secret.as_str()]["file"]
            .as_str()
            .unwrap_or_default();
        if !path.starts_with("./secrets/") {
            say(format!("secret {secret} is not a file in docker/secrets"));
        }
    }
    for (key, value) in map(&service["environment"]) {
        let key = key.as_str().unwrap_or_default();
        let secret = ["PASSWORD", "SECRET", "KEY", "TOKEN"]
            .iter()
            .any(|word| key.contains(word));
        if key.is_empty()
            || (secret
                && !(key.ends_with("_FILE")
                    && value
                        .as_str()
                        .is_some_and(|path| path.starts_with("/run/secrets/"))))
        {
            say(format!("{key}: secrets come as files"));
        }
    }
    for (needed, condition) in map(&service["depends_on"]) {
        if condition["condition"].as_str() != Some("service_healthy") {
            say(format!(
                "waits for {needed:?} to be started, not to be healthy"
            ));
        }
    }
    wrong
}

#[test]
fn the_compose_file_keeps_its_promises() {
    let compose = compose();
    let services = map(&compose["services"]);
    let names: Vec<&str> = services.keys().filter_map(Yaml::as_str).collect();
    assert_eq!(
        names,
        ["hub", "database"],
        "a hub and its database, nothing more"
    );
    let mut wrong: Vec<String> = services
        .iter()
        .flat_map(|(name, service)| complaints(name.as_str().unwrap(), service, &compose))
        .collect();

    let database = compose["services"]["database"]["image"]
        .as_str()
        .unwrap_or_default();
    if !database.starts_with("pgvector/pgvector:") || !database.contains("-pg") {
        wrong.push("database: an image with pgvector, its PostgreSQL named".to_owned());
    }
    if !compose["services"]["database"]["ports"].is_badvalue() {
        wrong.push("database: open to the machine; only the hub talks to it".to_owned());
    }
    if compose["services"]["hub"]["depends_on"]["database"].is_badvalue() {
        wrong.push("hub: starts before its database".to_owned());
    }
    if compose["networks"]["inside"]["internal"].as_bool() != Some(true)
        || texts(&compose["services"]["database"]["networks"]) != ["inside"]
    {
        wrong.push("database: reaches the network; its only one is internal".to_owned());
    }
    nothing_wrong("docker/compose.yml:", wrong);
}

#[test]
fn one_env_file_with_three_values() {
    let asked: BTreeSet<String> = read("docker/compose.yml")
        .split("${")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect()
        })
        .collect();
    let example = read("docker/.env.example");
    let given: BTreeSet<String> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    assert_eq!(asked, given);
    assert_eq!(given.len(), 3);
    let version = format!("MADE_OPEN_VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(
        example.lines().any(|line| line == version),
        "docker/.env.example: {version}"
    );
}

/// The instructions of a Dockerfile, continued lines put together, comments left out.
fn instructions(text: &str) -> Vec<(String, String)> {
    let joined = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(word, rest)| {
            (
                word.to_owned(),
                rest.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect()
}

#[test]
fn the_dockerfile_makes_a_small_image_without_root() {
    let lines = instructions(&read("docker/Dockerfile"));
    let all = |word: &str| {
        lines
            .iter()
            .filter(|(own, _)| own == word)
            .map(|(_, rest)| rest.as_str())
            .collect::<Vec<_>>()
    };
    let ignored = read("docker/Dockerfile.dockerignore");
    let mut wrong = Vec::new();

    let from = all("FROM");
    if from.len() < 2 {
        wrong.push("one stage: the compiler would be in the image".to_owned());
    }
    for image in &from {
        if !is_pinned(image.split(' ').next().unwrap()) {
            wrong.push(format!("FROM {image}: no tag"));
        }
    }
    let rust = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    if !from.first().is_some_and(|image| image.starts_with(&rust)) {
        wrong.push(format!(
            "built with another Rust than Cargo.toml's: {rust}…"
        ));
    }
    if all("USER").last().is_none_or(|user| is_root(user)) {
        wrong.push("runs as root".to_owned());
    }
    for word in ["ADD", "MAINTAINER", "ONBUILD"] {
        if !all(word).is_empty() {
            wrong.push(format!("{word}: use COPY, LABEL"));
        }
    }
    for word in ["HEALTHCHECK", "ENTRYPOINT", "CMD"] {
        if !all(word).last().is_some_and(|rest| rest.ends_with("\"]")) {
            wrong.push(format!("{word} is missing or goes through a shell"));
        }
    }
    for run in all("RUN") {
        if run.contains("apt-get install")
            && !(run.contains("--no-install-recommends")
                && run.contains("rm -rf /var/lib/apt/lists/*"))
        {
            wrong.push("apt-get leaves its lists or brings what is only recommended".to_owned());
        }
        if run.contains("| sh") || run.contains("| bash") || run.contains("sudo") {
            wrong.push(format!("RUN {run}"));
        }
        if run.contains("cargo build") && !run.contains("--locked") {
            wrong.push("built without the lock file".to_owned());
        }
    }
    for copy in all("COPY")
        .into_iter()
        .filter(|copy| !copy.starts_with("--from"))
    {
        let mut paths: Vec<&str> = copy
            .split(' ')
            .filter(|part| !part.starts_with("--"))
            .collect();
        paths.pop();
        for path in paths {
            if !top().join(path).exists() {
                wrong.push(format!("COPY {path}: does not exist"));
            }
            if !ignored.lines().any(|line| line == format!("!{path}")) {
                wrong.push(format!(
                    "COPY {path}: not let through by Dockerfile.dockerignore"
                ));
            }
        }
    }
    nothing_wrong("docker/Dockerfile:", wrong);
}

#[test]
fn a_careless_compose_file_is_noticed() {
    let careless = "services: { x: { image: 'a/b:latest', privileged: true, volumes: ['gone:/y'], environment: { PASSWORD: z } } }";
    let yaml = YamlLoader::load_from_str(careless).unwrap().remove(0);
    let said = complaints("x", &yaml["services"]["x"], &yaml).join("\n");
    for part in [
        "tag",
        "root:",
        "read_only",
        "privileged",
        "healthcheck",
        "gone",
        "secrets come as files",
        "capabilities",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(is_pinned("made-open:${V:?set it}") && is_pinned("debian:bookworm-slim"));
    assert!(!is_pinned("debian") && !is_pinned("host:5000/debian") && !is_pinned("debian:latest"));
}
