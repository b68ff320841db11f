//! Writes `include/kamailio_memcached.h`: the host's structures as this module mirrors them, and
//! what the shared object exports.
//!
//! Made by cbindgen of the sources named here, without any Kamailio. The header is checked in, so
//! that its diff shows what changes at the boundary; one that is right already is left alone.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use cbindgen::{Builder, Config, Error, Language, Style};

const HEADER: &str = "include/kamailio_memcached.h";

/// All of its public items go into the header.
const ABI: &str = "src/kamailio/host/layout.rs";

/// Of these, what the loader finds by name.
const SYMBOLS: [&str; 2] = ["src/kamailio/module.rs", "src/kamailio/host/version.rs"];

const HEAD: &str = "\
/*
 * kamailio-memcached: structures of Kamailio 5.3 to 6.1 on 64-bit machines, as far as the module
 * has to know them, and the symbols of memcached.so.
 *
 * One layout serves all versions, except for kamailio_pv_value32 (up to 5.6) and
 * kamailio_pv_value64 (from 5.7 on). tests/layout.rs checks sizes and offsets.
 *
 * Written by build.rs from src/kamailio/host/layout.rs. Do not edit.
 */";

fn main() {
    for file in ["build.rs", HEADER, ABI].iter().chain(&SYMBOLS) {
        println!("cargo::rerun-if-changed={file}");
    }
    let header = match header() {
        Ok(header) => header,
        // The compiler says it better.
        Err(Error::ParseSyntaxError { .. }) => return,
        Err(error) => panic!("{HEADER}: {error}"),
    };
    if fs::read_to_string(HEADER).is_ok_and(|present| present == header) {
        return;
    }
    // A source tree that cannot be written to can still be built.
    if let Err(error) = fs::create_dir_all("include").and_then(|()| fs::write(HEADER, header)) {
        println!("cargo::warning={HEADER} is not up to date: {error}");
    }
}

fn header() -> Result<String, Error> {
    let abi = fs::read_to_string(ABI).expect("the sources are in the package");
    let abi = abi.replace("pub(crate) ", "pub ");
    let items = Items::of(&abi);
    // Of `Option`s cbindgen knows those that are spelled out. In C any function pointer may be NULL.
    let abi = items.names.iter().fold(abi, |abi, name| {
        abi.replace(&format!("Option<{name}>"), name)
    });
    let copy = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("abi.rs");
    fs::write(&copy, abi).expect("this folder is ours");

    let mut builder = Builder::new().with_config(config(&items)).with_src(copy);
    for source in SYMBOLS {
        builder = builder.with_src(source);
    }
    let mut bytes = Vec::new();
    builder.generate()?.write(&mut bytes);
    Ok(items.in_comments(String::from_utf8_lossy(&bytes).into_owned()))
}

fn config(items: &Items) -> Config {
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        cpp_compat: true,
        header: Some(HEAD.into()),
        include_guard: Some("KAMAILIO_MEMCACHED_H".into()),
        no_includes: true,
        sys_includes: vec!["stdint.h".into()],
        tab_width: 4,
        ..Config::default()
    };
    config.export.include = items.names.clone();
    config.export.rename = items.c_names.clone();
    // Atomic or wrapped on our side only.
    config.export.exclude = vec!["Exports".into()];
    for (ours, c) in [
        ("AtomicI32", "int"),
        ("ExportedText", "char *"),
        ("Exports", "kamailio_module_exports"),
    ] {
        config.export.rename.insert(ours.into(), c.into());
    }
    config
}

/// A source file's public items, and what they are called in C: `PvExport` becomes
/// `kamailio_pv_export`, `PV_NULL` becomes `KAMAILIO_PV_NULL`.
struct Items {
    /// In the order of the source.
    names: Vec<String>,
    c_names: HashMap<String, String>,
}

impl Items {
    fn of(source: &str) -> Self {
        let (mut names, mut c_names) = (Vec::new(), HashMap::new());
        for line in source.lines() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if let (Some("pub"), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next())
            {
                let c_name = match kind {
                    "const" => format!("KAMAILIO_{name}"),
                    _ => format!("kamailio{}", snake(name)),
                };
                c_names.insert(name.to_owned(), c_name);
                names.push(name.to_owned());
            }
        }
        Self { names, c_names }
    }

    /// Rust's comments link to items; readers of C look for their C names.
    fn in_comments(&self, mut header: String) -> String {
        for (name, c_name) in &self.c_names {
            header = header.replace(&format!("[`{name}`]"), &format!("`{c_name}`"));
        }
        header
    }
}

/// `PvExport` → `_pv_export`
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
