//! Five memcacheds, and the ways to spread keys over them: the module in a real Kamailio, and the
//! peers, each with the same list in its own words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use support::{Kamailio, Memcached, Request, Twemproxy, Value};

use super::client::{Peer, Program};
use Servers::*;

const WEIGHTS: [u32; 5] = [1, 4, 2, 1, 7];
const ALIASES: [&str; 5] = ["mc-a", "mc-b", "mc-c", "d", "mc.example.com"];

/// How a list of the five servers is written.
#[derive(Debug, Clone, Copy)]
pub enum Servers {
    Plain,
    Weighted,
    Aliased,
    /// With weights and aliases.
    Both,
}

/// Five memcacheds on five addresses, two of them on the port that most clients leave out of a
/// server's name.
pub struct Site {
    memcached: [Memcached; 5],
}

impl Site {
    pub fn start() -> Site {
        let at = |last| Memcached::at(Ipv4Addr::new(127, 0, 0, last));
        let default = Memcached::on_default_port;
        Site {
            memcached: [at(11), default(), at(12), at(13), default()],
        }
    }

    /// The items of a list, as `write` puts address, weight and alias together.
    fn items(&self, write: impl Fn(&str, u32, &str) -> String) -> Vec<String> {
        let described = self.memcached.iter().zip(WEIGHTS.iter().zip(ALIASES));
        let items = described.map(|(server, (&weight, alias))| {
            let address = server.address();
            write(address, weight, alias)
        });
        items.collect()
    }

    /// The module with these parameters.
    pub fn kamailio(&self, settings: &[(&str, &str)], servers: Servers) -> Kamailio {
        let items = self.items(|address, weight, alias| match servers {
            Plain => address.into(),
            Weighted => format!("{address}:{weight}"),
            Aliased => format!("{address} {alias}"),
            Both => format!("{address}:{weight} {alias}"),
        });
        let mut builder = Kamailio::builder()
            .param("servers", items.join(", "))
            .script(
                "write",
                "$mct($hdr(X-Key)=>600) = $hdr(X-Value);",
                &["$mcst"],
            )
            .script("read", "", &["$mct($hdr(X-Key))", "$mcst"]);
        for &(name, value) in settings {
            builder = match value.parse::<i64>() {
                Ok(number) => builder.param(name, number),
                Err(_) => builder.param(name, value),
            };
        }
        builder.start()
    }

    /// A client program with these words of `libmemcached-client.c`.
    pub fn libmemcached(&self, words: &[&str], servers: Servers) -> Program {
        let mut words: Vec<String> = words.iter().map(|&word| word.into()).collect();
        words.extend(self.items(|address, weight, _| match servers {
            Plain => format!("{address}:1"),
            Weighted => format!("{address}:{weight}"),
            Aliased | Both => panic!("libmemcached places by address"),
        }));
        Program::libmemcached(&words)
    }

    /// A client program with these words of `libmc-client.py`.
    pub fn libmc(&self, words: &[&str], servers: Servers) -> Program {
        let mut words: Vec<String> = words.iter().map(|&word| word.into()).collect();
        words.extend(self.items(|address, _, alias| match servers {
            Plain => address.into(),
            Aliased => format!("{address} {alias}"),
            Weighted | Both => panic!("libmc has no weights"),
        }));
        Program::libmc(&words)
    }

    /// A proxy whose pool has these options.
    pub fn twemproxy(&self, options: &[&str], servers: Servers) -> Twemproxy {
        let items = self.items(|address, weight, alias| match servers {
            Plain => format!("{address}:1"),
            Weighted => format!("{address}:{weight}"),
            Aliased => format!("{address}:1 {alias}"),
            Both => format!("{address}:{weight} {alias}"),
        });
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        Twemproxy::start(options, &items)
    }

    /// The servers, by index, of all keys there are; each must lie on one only.
    fn holders(&self) -> BTreeMap<String, usize> {
        let mut holders = BTreeMap::new();
        for (index, server) in self.memcached.iter().enumerate() {
            for key in server.keys() {
                let key = String::from_utf8(key).expect("what a test stored");
                let other = holders.insert(key.clone(), index);
                assert_eq!(other, None, "{key} lies on {index}, too");
            }
        }
        holders
    }

    /// The one server that holds a key of the wire.
    #[track_caller]
    pub fn server_of(&self, key: &str) -> usize {
        let holders = self.holders();
        *holders
            .get(key)
            .unwrap_or_else(|| panic!("{key} is not there, only {holders:?}"))
    }

    fn empty(&self) {
        for server in &self.memcached {
            for key in server.keys() {
                assert!(server.remove(key));
            }
            assert!(server.is_empty());
        }
    }

    /// What the module writes with these parameters the peer reads, and the other way round; each
    /// key lies on one server, the same in both directions.
    #[track_caller]
    pub fn agrees(&self, settings: &[(&str, &str)], servers: Servers, peer: &mut dyn Peer) {
        let kamailio = self.kamailio(settings, servers);
        let keys = keys();
        self.empty();
        for key in &keys {
            write(&kamailio, key, &format!("ours:{key}"));
        }
        let ours = self.holders();
        for key in &keys {
            let value = format!("ours:{key}");
            assert_eq!(
                peer.get(key),
                Some(value),
                "{settings:?}: the peer asks for {key}"
            );
        }

        self.empty();
        for key in &keys {
            assert_eq!(peer.get(key), None, "{key} outlived its removal");
            peer.set(key, &format!("theirs:{key}"));
        }
        let theirs = self.holders();
        for key in &keys {
            let value = format!("theirs:{key}");
            assert_eq!(
                read(&kamailio, key),
                value,
                "{settings:?}: we ask for {key}"
            );
        }

        assert_eq!(ours, theirs, "{settings:?}");
        assert_eq!(ours.len(), keys.len());
        // The lightest server may be left without; more than that would be no comparison.
        let used: BTreeSet<usize> = ours.values().copied().collect();
        assert!(used.len() >= 4, "{settings:?}: only servers {used:?}");
    }
}

/// Stores a string through the module.
#[track_caller]
pub fn write(kamailio: &Kamailio, key: &str, value: &str) {
    let request = Request::about(key);
    let answer = kamailio.run_with("write", request.header("X-Value", value));
    assert_eq!(answer["$mcst"], "stored", "{key}");
}

/// Reads one through it.
#[track_caller]
fn read(kamailio: &Kamailio, key: &str) -> Value {
    let answer = kamailio.run_with("read", Request::about(key));
    answer["$mct($hdr(X-Key))"].clone()
}

/// Keys as scripts have them, every length modulo 4, some with bytes beyond ASCII, some that
/// twemproxy's hash tag cuts.
fn keys() -> Vec<String> {
    let names = ["alice", "bob", "jürgen", "søren", "日本", "zoë"];
    let mut keys: Vec<String> = (0..30)
        .map(|number| format!("sip:user{}@example.com", number * number))
        .collect();
    keys.extend((0..20).map(|number| format!("call-{number:o}")));
    for name in names {
        keys.push(format!("plan:{name}"));
        keys.push(format!("sip:{name}@example.com"));
        keys.push(format!("{{{name}}}:dnd"));
        keys.push(format!("{name}}}{{"));
    }
    keys.extend((1..=8).map(|size| "k".repeat(size)));
    keys.push("k".repeat(240));
    keys
}
