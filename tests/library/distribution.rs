//! Compares placement with the programs that it imitates: in every case of the vectors, every key
//! must belong to the server that libmemcached, libmc or twemproxy chose.
//!
//! The vectors are in `tests/vectors/distribution`, or in the folder that `MCT_VECTORS` names. A
//! case or a setting that this file does not understand is a failure and never skipped.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use kamailio_memcached::internals::{
    Address, Distribution, KeyHash, Placement, ServerSpec, System, parse_list,
};
use serde_json::{Map, Value};

/// Settings of the original programs that the module cannot express, each with the reason. There
/// are none: a setting without a parameter of its name is a pair of `distribution` and `hash`, or
/// the order of the servers.
const INEXPRESSIBLE: &[(&str, &str)] = &[];

/// twemproxy closes the connection if a key is longer. The module never sends such a key.
const MAX_KEY: usize = 250;

/// The number of wrong keys that a failure shows.
const SHOWN: usize = 5;

#[test]
fn every_key_of_every_case_lands_where_its_program_put_it() {
    let vectors = Vectors::read();
    let mut report = String::new();
    let mut inexpressible = BTreeSet::new();
    let mut checked = 0;
    for (file, imitate) in [
        ("libmemcached.json", libmemcached as Imitate),
        ("libmc.json", libmc),
        ("nutcracker.json", nutcracker),
    ] {
        for (number, case) in vectors.cases(file).iter().enumerate() {
            match imitate(&Case::new(&vectors, case)) {
                Ok(imitation) => {
                    checked += 1;
                    let wrong = imitation.differences(&vectors.keys, text(case, "map"));
                    if !wrong.is_empty() {
                        describe(&mut report, file, number, case, &wrong);
                    }
                }
                Err(setting) => {
                    println!("{file} case {number}: inexpressible: {setting}");
                    inexpressible.insert(setting);
                }
            }
        }
    }
    println!("{checked} cases of {} keys", vectors.keys.len());
    for (setting, reason) in INEXPRESSIBLE {
        println!("known to be inexpressible: {setting}, because {reason}");
    }
    let known = INEXPRESSIBLE.iter().map(|(setting, _)| setting.to_string());
    assert!(report.is_empty(), "\n{report}");
    assert_eq!(inexpressible, known.collect(), "inexpressible settings");
}

#[test]
fn every_hash_of_every_key_is_libmemcacheds() {
    let vectors = Vectors::read();
    let document = vectors.document("hashes.json");
    let values = document["values"]
        .as_object()
        .expect("`values` by hash name");
    assert!(!values.is_empty(), "hashes.json holds no hash");
    for (name, expected) in values {
        let hash = KeyHash::parse(System::Libmemcached, name).unwrap_or_else(|e| panic!("{e}"));
        let expected = expected.as_array().expect("a list of hashes");
        assert_eq!(expected.len(), vectors.keys.len(), "hashes.json: {name}");
        for (key, expected) in vectors.keys.iter().zip(expected) {
            let hash = u64::from(hash.hash(key.as_bytes()));
            assert_eq!(Some(hash), expected.as_u64(), "{name} of {key:?}");
        }
    }
}

/// The files with vectors.
struct Vectors {
    folder: PathBuf,
    keys: Vec<String>,
    lists: Map<String, Value>,
}

impl Vectors {
    fn read() -> Vectors {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/distribution");
        let folder = env::var_os("MCT_VECTORS").map_or(PathBuf::from(own), PathBuf::from);
        let mut vectors = Vectors {
            folder,
            keys: Vec::new(),
            lists: Map::new(),
        };
        vectors.lists = as_object(&vectors.document("lists.json")).clone();
        let keys = vectors.document("keys.json");
        let keys = keys["keys"].as_array().expect("keys.json: a list of keys");
        vectors.keys = keys
            .iter()
            .map(|key| key.as_str().expect("a key").to_owned())
            .collect();
        assert!(!vectors.keys.is_empty(), "keys.json holds no key");
        vectors
    }

    fn document(&self, file: &str) -> Value {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn cases(&self, file: &str) -> Vec<Map<String, Value>> {
        let document = self.document(file);
        let cases = document["cases"].as_array().expect("a list of cases");
        assert!(!cases.is_empty(), "{file} holds no case");
        cases.iter().map(|case| as_object(case).clone()).collect()
    }
}

/// A case and its servers.
struct Case<'v> {
    settings: &'v Map<String, Value>,
    servers: Vec<&'v Value>,
}

impl<'v> Case<'v> {
    fn new(vectors: &'v Vectors, settings: &'v Map<String, Value>) -> Case<'v> {
        let list = text(settings, "list");
        let servers = vectors.lists.get(list).and_then(Value::as_array);
        let servers = servers.unwrap_or_else(|| panic!("lists.json has no {list}"));
        Case {
            settings,
            servers: servers.iter().collect(),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.settings
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.settings
            .get(name)
            .map(|value| value.as_str().expect("a text"))
    }

    fn indices(&self, name: &str) -> Vec<usize> {
        let index = |value: &Value| value.as_u64().expect("an index") as usize;
        match self.settings.get(name) {
            None => Vec::new(),
            Some(Value::Array(indices)) => indices.iter().map(index).collect(),
            Some(value) => vec![index(value)],
        }
    }

    fn has_weights(&self) -> bool {
        self.servers
            .iter()
            .any(|server| server["weight"].as_u64().unwrap_or(1) > 1)
    }

    /// Fails for the first setting that is not in `known`.
    fn unknown_setting(&self, known: &[&str]) -> Result<(), String> {
        let known = |name: &str| ["list", "map"].contains(&name) || known.contains(&name);
        match self.settings.keys().find(|name| !known(name)) {
            Some(name) => Err(name.clone()),
            None => Ok(()),
        }
    }

    /// The servers as operators write them, each with its index in the case.
    fn servers(&self, aliases: bool) -> Vec<(usize, ServerSpec)> {
        let written = self.servers.iter().map(|server| {
            let weight = server["weight"].as_u64().unwrap_or(1);
            let mut item = match server["unix"].as_str() {
                Some(path) => format!("{path}:{weight}"),
                None => {
                    let host = server["host"].as_str().expect("a host");
                    let port = server["port"].as_u64().expect("a port");
                    format!("{host}:{port}:{weight}")
                }
            };
            if let Some(alias) = server["alias"].as_str().filter(|_| aliases) {
                write!(item, " {alias}").expect("writing to a String");
            }
            item
        });
        let list = written.collect::<Vec<_>>().join(", ");
        let servers = parse_list(&list).unwrap_or_else(|e| panic!("{e}"));
        servers.into_iter().enumerate().collect()
    }
}

/// The module, configured like the program of a case.
struct Imitation {
    placement: Placement,
    /// Each server, with its index in the case.
    servers: Vec<(usize, ServerSpec)>,
    /// These servers are not on the ring (`failover=2`).
    ejected: Vec<usize>,
    /// These servers are on the ring but may not be used (`failover=1`).
    dead: Vec<usize>,
}

/// Configures the module for a case, or names the setting that it cannot express.
type Imitate = fn(&Case) -> Result<Imitation, String>;

fn libmemcached(case: &Case) -> Result<Imitation, String> {
    case.unknown_setting(&[
        "dist",
        "hash",
        "after",
        "servers_first",
        "namespace",
        "hashns",
        "sort",
        "eject",
    ])?;
    // A weight above 1 makes an unweighted ring a weighted one, but only its points, and only if
    // the servers are not configured before the distribution.
    let becomes_weighted = case.has_weights() && !case.flag("servers_first");
    let (distribution, chooses_md5) = match case.text("dist") {
        Some("default" | "modula") => (Distribution::Modula, false),
        Some("ketama") if becomes_weighted => (Distribution::Ketama, false),
        Some("ketama") => (Distribution::KetamaUnweighted, false),
        Some("spy") if becomes_weighted => (Distribution::SpyWeighted, false),
        Some("spy") if !case.has_weights() => (Distribution::Spy, false),
        Some("weighted") => (Distribution::Ketama, true),
        Some("spyw") => (Distribution::SpyWeighted, true),
        dist => return Err(format!("dist {dist:?} of this list")),
    };
    // To choose a weighted ring replaces the hash that was set before.
    let hash = match case.text("hash") {
        Some(_) if chooses_md5 && !case.flag("after") => "md5",
        None if chooses_md5 => "md5",
        hash => hash.unwrap_or("default"),
    };
    let mut placement = Placement::new(distribution);
    placement.hash = distribution.parse_hash(hash).map_err(|e| e.to_string())?;
    placement.prefix = case.text("namespace").unwrap_or_default().as_bytes().into();
    placement.hash_prefix = case.flag("hashns");

    let mut servers = case.servers(false);
    if case.flag("sort") {
        servers.sort_by_key(|(_, server)| match &server.address {
            Address::Tcp { host, port } => (host.clone(), *port),
            Address::Unix(path) => (path.clone(), 0),
        });
    }
    let (ejected, dead) = (case.indices("eject"), Vec::new());
    Ok(Imitation {
        placement,
        servers,
        ejected,
        dead,
    })
}

fn libmc(case: &Case) -> Result<Imitation, String> {
    case.unknown_setting(&["hash", "alias", "prefix", "dead"])?;
    let mut placement = Placement::new(Distribution::Libmc);
    let hash = case.text("hash").unwrap_or("md5");
    placement.hash = Distribution::Libmc
        .parse_hash(hash)
        .map_err(|e| e.to_string())?;
    placement.prefix = case.text("prefix").unwrap_or_default().as_bytes().into();
    let servers = case.servers(case.flag("alias"));
    let (ejected, dead) = (Vec::new(), case.indices("dead"));
    Ok(Imitation {
        placement,
        servers,
        ejected,
        dead,
    })
}

fn nutcracker(case: &Case) -> Result<Imitation, String> {
    case.unknown_setting(&["dist", "hash", "alias", "hash_tag", "eject"])?;
    let distribution = match case.text("dist") {
        Some("ketama") => Distribution::Twemproxy,
        Some("modula") => Distribution::TwemproxyModula,
        dist => return Err(format!("dist {dist:?}")),
    };
    let mut placement = Placement::new(distribution);
    if let Some(hash) = case.text("hash") {
        placement.hash = distribution.parse_hash(hash).map_err(|e| e.to_string())?;
    }
    if let Some(tag) = case.text("hash_tag") {
        placement.hash_tag = Some(tag.parse().map_err(|e| format!("hash_tag {e}"))?);
    }
    let servers = case.servers(case.flag("alias"));
    let (ejected, dead) = (case.indices("eject"), Vec::new());
    Ok(Imitation {
        placement,
        servers,
        ejected,
        dead,
    })
}

impl Imitation {
    /// The keys that do not belong to the server in `map`: the number of the key, the expected
    /// server, the server found.
    fn differences(&self, keys: &[String], map: &str) -> Vec<(usize, char, char)> {
        assert_eq!(map.chars().count(), keys.len(), "one character per key");
        let (cases, servers): (Vec<usize>, Vec<ServerSpec>) = self.servers.iter().cloned().unzip();
        let in_case = |out: &[usize], server: usize| out.contains(&cases[server]);
        let ring = self
            .placement
            .ring(&servers, |server| !in_case(&self.ejected, server));
        let ring = ring.expect("a live server");

        let found = |key: &str| {
            let wire = self.placement.wire_parts(key.as_bytes()).concat();
            let owner = self.placement.owner(&ring, &wire);
            let live = |server: usize| !in_case(&self.dead, server);
            let hash = self.placement.hash(&wire);
            let server = match live(owner) {
                true => Some(owner),
                false => self.placement.first_live(&ring, &wire, hash, live),
            };
            let digit = server.and_then(|server| char::from_digit(cases[server] as u32, 16));
            digit.unwrap_or('?')
        };
        let compared = keys.iter().zip(map.chars()).enumerate();
        let differing = compared.filter_map(|(number, (key, expected))| {
            let found = if expected == '-' && key.len() > MAX_KEY {
                '-'
            } else {
                found(key)
            };
            (found != expected).then_some((number, expected, found))
        });
        differing.collect()
    }
}

fn describe(
    report: &mut String,
    file: &str,
    number: usize,
    case: &Map<String, Value>,
    wrong: &[(usize, char, char)],
) {
    let mut settings = case.clone();
    settings.remove("map");
    let settings = Value::Object(settings);
    let mut line = format!(
        "{file} case {number} {settings}: {} keys differ",
        wrong.len()
    );
    for (key, expected, found) in wrong.iter().take(SHOWN) {
        write!(
            line,
            "\n    key {key}: expected server {expected}, found {found}"
        )
        .expect("writing to a String");
    }
    report.push_str(&line);
    report.push('\n');
}

fn as_object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn text<'v>(case: &'v Map<String, Value>, name: &str) -> &'v str {
    case.get(name)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("a case without {name}"))
}
