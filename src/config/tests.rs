use std::time::Duration;

use super::*;
use crate::item::lifetime::Lifetime;
use crate::placement::Placement;
use crate::placement::ring::Distribution;
use crate::wire::protocol::Store;

fn refused(name: &str, given: Given<'_>) -> String {
    Parameters::default()
        .set(name, given)
        .unwrap_err()
        .to_string()
}

fn with(settings: &[(&str, Given<'_>)]) -> Vec<DeclaredPool> {
    let mut parameters = Parameters::default();
    for (name, given) in settings {
        parameters.set(name, *given).unwrap();
    }
    parameters.settle()
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let [pool] = &with(&[])[..] else {
        panic!("one pool")
    };
    let DeclaredPool {
        settings, servers, ..
    } = pool;
    assert_eq!(settings.name, "default");
    assert_eq!(servers[0].address.to_string(), "localhost:11211");
    assert_eq!(settings.expire, Lifetime::new(10_800).unwrap());
    assert_eq!(settings.mode, Store::Set);
    assert_eq!(settings.timeout, Duration::from_millis(5000));
    assert!(!settings.stringify);
    assert_eq!(settings.placement, Placement::new(Distribution::Ketama));
}

#[test]
fn what_is_set_counts_and_the_last_time_most() {
    let pools = with(&[
        ("servers", Given::Text("[::1]:11212, b:2:3 bee")),
        ("expire", Given::Number(1)),
        ("mode", Given::Number(1)),
        ("timeout", Given::Number(7)),
        ("timeout", Given::Number(8)),
        ("memory", Given::Number(1)),
        ("stringify", Given::Number(1)),
        ("hash", Given::Text("crc32a")),
        ("distribution", Given::Text("libmc")),
        ("key_prefix", Given::Text("kam:")),
        ("hash_prefix", Given::Number(0)),
        ("hash_tag", Given::Text("{}")),
    ]);
    assert_eq!(pools[0].servers[1].alias.as_deref(), Some("bee"));
    assert_eq!(pools[0].settings.expire, Lifetime::new(1).unwrap());
    assert_eq!(pools[0].settings.mode, Store::Add);
    assert_eq!(pools[0].settings.timeout, Duration::from_millis(8));
    assert!(pools[0].settings.stringify);
    let placement = &pools[0].settings.placement;
    assert_eq!(placement.distribution, Distribution::Libmc);
    assert_eq!(Ok(placement.hash), Distribution::Libmc.parse_hash("crc32a"));
    assert_eq!(&*placement.prefix, b"kam:");
    assert!(!placement.hash_prefix && placement.hash_tag.is_some());
}

#[test]
fn a_pool_takes_what_it_leaves_out_from_the_plain_parameters() {
    let pools = with(&[
        (
            "pool",
            Given::Text("name=calls; servers=a:1,b:2 ;timeout=50;distribution=modula;"),
        ),
        ("expire", Given::Number(60)),
        ("timeout", Given::Number(100)),
        ("key_prefix", Given::Text("x:")),
        ("pool", Given::Text("name=more.1;servers=c;key_prefix=")),
    ]);
    let names: Vec<_> = pools
        .iter()
        .map(|pool| pool.settings.name.as_str())
        .collect();
    assert_eq!(names, ["default", "calls", "more.1"]);
    assert_eq!(pools[1].servers.len(), 2);
    assert_eq!(pools[1].settings.timeout, Duration::from_millis(50));
    assert_eq!(pools[1].settings.expire, pools[0].settings.expire);
    assert_eq!(
        pools[1].settings.placement.distribution,
        Distribution::Modula
    );
    assert_eq!(&*pools[1].settings.placement.prefix, b"x:");
    assert_eq!(pools[2].settings.timeout, Duration::from_millis(100));
    assert_eq!(&*pools[2].settings.placement.prefix, b"");
}

#[test]
fn blanks_around_names_and_values_of_a_pool_do_not_matter() {
    let pool = Given::Text(" name = calls ; servers = a:1 , b:2 ; mode = 1 ");
    let pools = with(&[("pool", pool)]);
    assert_eq!(pools[1].settings.name, "calls");
    assert_eq!(pools[1].servers.len(), 2);
}

#[test]
fn a_refusal_names_parameter_value_and_accepted_form() {
    assert_eq!(refused("timeout", Given::Number(0)), {
        "parameter 'timeout': invalid value 0; accepted: 1 to 2147483647 milliseconds"
    });
    assert_eq!(refused("mode", Given::Number(7)), {
        "parameter 'mode': invalid value 7; accepted: 0 (set) or 1 (add)"
    });
    assert_eq!(refused("expire", Given::Text("60s")), {
        "parameter 'expire': invalid value '60s'; accepted: 0 (never) to 2147483647 seconds"
    });
    assert_eq!(refused("expire", Given::Text("3600")), {
        "parameter 'expire': invalid value '3600'; accepted: 0 (never) to 2147483647 seconds, \
         without quotes"
    });
    assert_eq!(refused("mode", Given::Text("1")), {
        "parameter 'mode': invalid value '1'; accepted: 0 (set) or 1 (add), without quotes"
    });
    assert_eq!(refused("mode", Given::Text("7")), {
        "parameter 'mode': invalid value '7'; accepted: 0 (set) or 1 (add)"
    });
    let long = "p".repeat(201);
    for (name, given) in [
        ("expire", Given::Number(-1)),
        ("stringify", Given::Number(2)),
        ("memory", Given::Number(-1)),
        ("timeout", Given::Text("5")),
        ("servers", Given::Text("h:99999")),
        ("servers", Given::Number(11211)),
        ("servers_file", Given::Text("/nowhere/at/all")),
        ("distribution", Given::Text("random")),
        ("hash", Given::Text("sha1")),
        ("key_prefix", Given::Text("a b")),
        ("key_prefix", Given::Text(&long)),
        ("hash_prefix", Given::Number(2)),
        ("hash_tag", Given::Text("{")),
    ] {
        let line = refused(name, given);
        assert!(line.starts_with(&format!("parameter '{name}': ")), "{line}");
        assert!(line.contains("accepted: "), "{line}");
    }
    assert!(
        refused("nonsense", Given::Number(1)).contains("parameter 'nonsense': unknown parameter")
    );
}

#[test]
fn bad_pools_are_refused() {
    for (text, what) in [
        ("", "accepted: name=NAME;"),
        ("servers=a", "accepted: name=NAME;"),
        ("name=a b;servers=a", "(NAME: up to 64 letters, digits"),
        ("name=;servers=a", "(NAME: up to 64 letters, digits"),
        ("name=default;servers=a", "pool 'default' already exists"),
        ("name=x", "pool 'x' has no servers"),
        ("name=x;servers", "accepted: name=NAME;"),
        (
            "name=x;servers=a;timeout=0",
            "'timeout' of pool 'x': invalid value '0'",
        ),
        (
            "name=x;servers=a;timeout=1s",
            "'timeout' of pool 'x': invalid value '1s'",
        ),
        (
            "name=x;servers=a;mode=+1",
            "'mode' of pool 'x': invalid value '+1'",
        ),
        (
            "name=x;servers=a,a",
            "'servers' of pool 'x': server 'a' is listed twice",
        ),
        (
            "name=x;servers=a;memory=1",
            "'memory' of pool 'x': unknown parameter",
        ),
        (
            "name=x;servers=a;pool=y",
            "'pool' of pool 'x': unknown parameter",
        ),
    ] {
        let line = refused("pool", Given::Text(text));
        assert!(
            line.starts_with("parameter 'pool': ") && line.contains(what),
            "{line}"
        );
        assert!(line.contains("accepted: "), "{line}");
    }
    let mut parameters = Parameters::default();
    parameters
        .set("pool", Given::Text("name=x;servers=a"))
        .unwrap();
    let twice = parameters
        .set("pool", Given::Text("name=x;servers=b"))
        .unwrap_err();
    assert!(
        twice.to_string().contains("pool 'x' already exists"),
        "{twice}"
    );
    parameters.note_key("late");
    let late = parameters
        .set("pool", Given::Text("name=late;servers=b"))
        .unwrap_err();
    assert!(
        late.to_string()
            .contains("pool 'late' is declared after its first use"),
        "{late}"
    );
}

#[test]
fn an_event_callback_is_the_name_of_a_function() {
    let mut parameters = Parameters::default();
    let callback = |parameters: &Parameters| parameters.settle().remove(0).settings.event_callback;
    assert_eq!(callback(&parameters), None);
    let name = Given::Text("on_cache_event");
    parameters.set("event_callback", name).unwrap();
    assert_eq!(callback(&parameters).as_deref(), Some("on_cache_event"));
    for bad in [
        Given::Text(""),
        Given::Text("on event"),
        Given::Text("f\0"),
        Given::Number(1),
    ] {
        let line = refused("event_callback", bad);
        assert!(line.ends_with("accepted: the name of a function of the KEMI script"));
    }
    let line = refused("pool", Given::Text("name=x;servers=a;event_callback=f"));
    assert!(
        line.contains("'event_callback' of pool 'x': unknown parameter"),
        "{line}"
    );
}

#[test]
fn names_are_unique_and_each_is_about_something() {
    let mut names: Vec<_> = Parameter::ALL.iter().map(Parameter::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Parameter::ALL.len());
    for parameter in Parameter::ALL {
        assert!(!parameter.name().is_empty());
        assert!(!parameter.about.is_empty(), "{}", parameter.name());
        assert!(!parameter.accepted().is_empty(), "{}", parameter.name());
    }
}

#[test]
fn a_default_is_accepted_and_is_what_was_there() {
    let defaults = format!("{:?}", with(&[]));
    let mut without = Vec::new();
    for parameter in Parameter::ALL {
        let Some(default) = parameter.default() else {
            without.push(parameter.name());
            continue;
        };
        let given = with(&[(parameter.name(), default)]);
        assert_eq!(format!("{given:?}"), defaults, "{}", parameter.name());
    }
    assert_eq!(
        without,
        [
            "servers_file",
            "pool",
            "hash",
            "credentials_file",
            "tls_ca",
            "tls_name",
            "tls_cert",
            "tls_key",
            "warm_from",
            "event_callback"
        ]
    );
}

#[test]
fn a_pool_takes_the_parameters_whose_rows_say_so() {
    for parameter in Parameter::ALL {
        let name = parameter.name();
        let value = match parameter.default() {
            Some(Given::Number(number)) => number.to_string(),
            Some(Given::Text(text) | Given::Word(text)) => text.to_owned(),
            None if name == "hash" => "md5".to_owned(),
            None if name == "warm_from" => "default".to_owned(),
            None => "x".to_owned(),
        };
        let pool = format!("name=p;servers=a;{name}={value}");
        let set = Parameters::default().set("pool", Given::Text(&pool));
        let refusal = set.err().map(|bad| bad.to_string()).unwrap_or_default();
        let unknown = refusal.contains("unknown parameter");
        assert_eq!(
            unknown,
            parameter.scope == Scope::Plain,
            "{pool}: {refusal}"
        );
        // Some are refused because that file does not exist, not because a pool cannot have them.
        let is_file = refusal.contains("'x'") && refusal.contains("No such file");
        let refused = unknown || is_file || refusal.contains("built without TLS");
        assert_eq!(!refusal.is_empty(), refused, "{pool}: {refusal}");
    }
}

#[test]
fn the_refusal_of_an_unknown_parameter_lists_all_names() {
    let all = Parameter::ALL.iter();
    let names = |scopes: &[Scope]| {
        let accepted = all.clone().filter(|row| scopes.contains(&row.scope));
        accepted.map(Parameter::name).collect::<Vec<_>>().join(", ")
    };
    let line = refused("pool", Given::Text("name=p;servers=a;nonsense=1"));
    let pools = names(&[Scope::Inherited, Scope::Own]);
    assert!(
        line.ends_with(&format!(
            "'nonsense' of pool 'p': unknown parameter; accepted: {pools}"
        )),
        "{line}"
    );
    let line = refused("nonsense", Given::Number(1));
    let everywhere = names(&[Scope::Inherited, Scope::Own, Scope::Plain]);
    assert!(
        line.ends_with(&format!(
            "'nonsense': unknown parameter; accepted: {everywhere}"
        )),
        "{line}"
    );
}

#[test]
fn a_pool_takes_no_servers_from_the_plain_parameters() {
    let path = std::env::temp_dir().join(format!("plain-{}.list", std::process::id()));
    std::fs::write(&path, "f:1\ng:2\n").unwrap();
    let pools = with(&[
        ("servers_file", Given::Text(path.to_str().unwrap())),
        ("servers", Given::Text("a:1")),
        ("pool", Given::Text("name=p;servers=b:2")),
    ]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(pools[0].servers[0].to_string(), "f:1:1");
    assert!(pools[0].settings.file.is_some());
    assert_eq!(pools[1].servers[0].to_string(), "b:2:1");
    assert!(pools[1].settings.file.is_none());
}

#[test]
fn a_hash_means_what_the_distribution_means_in_whichever_order() {
    for text in [
        "name=p;servers=a;distribution=libmc;hash=crc32a",
        "name=p;servers=a;hash=crc32a;distribution=libmc",
    ] {
        let pools = with(&[("pool", Given::Text(text))]);
        let hash = pools[1].settings.placement.hash;
        assert_eq!(Ok(hash), Distribution::Libmc.parse_hash("crc32a"), "{text}");
    }
}

#[test]
fn what_is_accepted_is_told_by_the_check_itself() {
    for parameter in Parameter::ALL {
        let Some(number) = parameter.number() else {
            continue;
        };
        let (least, most) = number.range().into_inner();
        let accepted = parameter.accepted();
        for edge in [least, most] {
            assert!(accepted.contains(&edge.to_string()), "{accepted}");
            if parameter.name() == "tls" && !cfg!(feature = "tls") {
                continue;
            }
            with(&[(parameter.name(), Given::Number(edge))]);
        }
        for beyond in [least.checked_sub(1), most.checked_add(1)] {
            let Some(beyond) = beyond else { continue };
            let line = refused(parameter.name(), Given::Number(beyond));
            let told = format!(": invalid value {beyond}; accepted: {accepted}");
            assert!(line.ends_with(&told), "{line}");
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn what_is_missing_is_told_once_all_is_read() {
    let mut parameters = Parameters::default();
    parameters.set("tls", Given::Number(1)).unwrap();
    let line = parameters.lack().unwrap();
    assert!(
        line.starts_with("pool 'default': 'tls' is 1, and nobody is trusted; accepted: "),
        "{line}"
    );
    parameters.set("tls_verify", Given::Number(0)).unwrap();
    assert_eq!(parameters.lack(), None);
}
