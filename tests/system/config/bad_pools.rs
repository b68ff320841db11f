//! What `kamailio -c` refuses of servers, pools and placement, and in which words: one line of
//! ours that names the parameter, what is wrong with which item, and what is accepted.

use support::{Builder, Host, Kamailio, Param};

/// The configuration is refused by one line of ours, which holds all `words`.
#[track_caller]
fn assert_refused(builder: Builder, words: &[&str]) {
    builder
        .check()
        .assert_refused(&[words, &["accepted: "]].concat());
}

#[track_caller]
fn refused(name: &str, value: impl Into<Param>, words: &[&str]) {
    let builder = Kamailio::builder().param(name, value);
    let parameter = format!("parameter '{name}': ");
    assert_refused(builder, &[&[parameter.as_str()], words].concat());
}

#[track_caller]
fn accepted(name: &str, value: impl Into<Param>) {
    let check = Kamailio::builder().param(name, value).check();
    assert!(check.ok, "{}", check.output);
}

/// The grammar of one server is a matter of `servers.rs`.
#[test]
fn the_bad_item_of_a_list_is_named() {
    let form = "address[:port][:weight] [alias]";
    for (list, words) in [
        ("a,", ["empty entry in the list", form]),
        ("a, ,b", ["empty entry in the list", form]),
        ("a, b:65536, c", ["invalid port '65536' in 'b:65536'", form]),
        ("a, b:1:1001", ["invalid weight '1001' in 'b:1:1001'", form]),
        ("a, ::1", ["IPv6 address without brackets in '::1'", form]),
        ("a x y, b", ["unexpected 'y' in 'a x y'", form]),
    ] {
        refused("servers", list, &words);
    }
    refused(
        "servers",
        11211,
        &["invalid value 11211", "a list of servers"],
    );
}

#[test]
fn no_server_and_no_name_is_listed_twice() {
    refused(
        "servers",
        "a, b, a:11211",
        &["server 'a:11211' is listed twice"],
    );
    refused(
        "servers",
        "[::1], [0:0::1]",
        &["server '[0:0::1]' is listed twice"],
    );
    refused("servers", "a x, b x", &["duplicate name 'x' in 'b x'"]);
    refused("servers", "a x, x", &["duplicate name 'x' in 'x'"]);
    refused(
        "pool",
        "name=p;servers=a,a",
        &["'servers' of pool 'p'", "server 'a' is listed twice"],
    );
}

#[test]
fn a_list_ends_at_its_stated_maximum() {
    let list = |count: u32| {
        let items: Vec<String> = (1..=count).map(|port| format!("a:{port}")).collect();
        items.join(",")
    };
    accepted("servers", list(1000));
    refused(
        "servers",
        list(1001),
        &["'a:1001' is one more than 1000 servers"],
    );
}

#[test]
fn a_servers_file_is_read_while_the_configuration_is() {
    let host = Host::current();
    let scratch = host.scratch();
    let file = |text: &str| {
        let path = scratch.write("servers", text);
        host.inside(&path).display().to_string()
    };
    refused(
        "servers_file",
        "/nowhere/at/all",
        &["'/nowhere/at/all'", "No such file"],
    );
    let folder = host.inside(scratch.path()).display().to_string();
    refused("servers_file", folder.as_str(), &[&folder]);
    refused(
        "servers_file",
        file("# nobody\n"),
        &["no server in the list"],
    );
    let line = ["/servers'", "line 3", "invalid port 'nix' in 'b:nix'"];
    refused("servers_file", file("# two\na:1\nb:nix\n"), &line);
    refused(
        "servers_file",
        file("a\nb\na\n"),
        &["line 3", "server 'a' is listed twice"],
    );
    refused("servers_file", file("a, b\n"), &["line 1", "'a, b'"]);
    let pool = format!("name=p;servers_file={}", file("a:0\n"));
    refused(
        "pool",
        pool,
        &["'servers_file' of pool 'p'", "line 1", "'a:0'"],
    );
    refused("pool", "name=p;servers_file=/no", &["of pool 'p'", "'/no'"]);
    refused("servers_file", "", &["''"]);
}

#[test]
fn unknown_words_are_answered_with_the_known_ones() {
    let known = "ketama, ketama_unweighted, spy, spy_weighted, modula, libmc, twemproxy";
    refused("distribution", "Ketama", &["'Ketama'", known]);
    refused("distribution", "", &["''", known]);
    refused("distribution", 1, &["invalid value 1;"]);
    refused("hash", "sha1", &["'sha1'", "md5"]);
    let pool = "name=p;servers=a;distribution=random";
    refused(
        "pool",
        pool,
        &["'distribution' of pool 'p'", "'random'", known],
    );
    refused(
        "pool",
        "name=p;servers=a;hash=x",
        &["'hash' of pool 'p'", "'x'"],
    );
}

#[test]
fn a_prefix_is_short_and_legal() {
    accepted("key_prefix", "p".repeat(200));
    refused(
        "key_prefix",
        "p".repeat(201),
        &["invalid value 'ppp", "ppp...';", "up to 200 bytes"],
    );
    refused(
        "key_prefix",
        "a b",
        &["invalid value 'a b'", "without spaces"],
    );
    refused(
        "key_prefix",
        "a\tb",
        &["invalid value 'a\\tb'", "control characters"],
    );
    refused(
        "pool",
        "name=p;servers=a;key_prefix=a b",
        &["'key_prefix' of pool 'p'"],
    );
    refused("hash_prefix", 2, &["invalid value 2;", "0 or 1"]);
    refused("hash_prefix", -1, &["invalid value -1;", "0 or 1"]);
}

#[test]
fn a_hash_tag_is_two_characters() {
    accepted("hash_tag", "{}");
    accepted("hash_tag", "");
    for tag in ["{", "{}}", "ü", "{ "] {
        refused("hash_tag", tag, &[&format!("'{tag}'"), "two printable"]);
    }
    refused(
        "pool",
        "name=p;servers=a;hash_tag={",
        &["'hash_tag' of pool 'p'", "'{'"],
    );
}

#[test]
fn a_pool_has_a_name_and_servers() {
    let form = "name=NAME;servers=LIST or servers_file=PATH";
    for (pool, words) in [
        ("", [form, "accepted"]),
        ("servers=a", [form, "invalid value 'servers=a'"]),
        (
            "servers=a;name=p",
            [form, "invalid value 'servers=a;name=p'"],
        ),
        ("name=;servers=a", [form, "(NAME: up to 64 letters, digits"]),
        (
            "name=a b;servers=a",
            [form, "(NAME: up to 64 letters, digits"],
        ),
        ("name=p", [form, "pool 'p' has no servers"]),
        ("name=p;timeout=5", [form, "pool 'p' has no servers"]),
        (
            "name=p;servers=",
            ["'servers' of pool 'p'", "no server in the list"],
        ),
        (
            "name=p;servers=a;mode",
            [form, "invalid value 'name=p;servers=a;mode'"],
        ),
    ] {
        refused("pool", pool, &words);
    }
    refused("pool", 1, &["invalid value 1;", form]);
}

#[test]
fn a_pools_name_is_its_own() {
    refused(
        "pool",
        "name=default;servers=a",
        &["'default' already exists"],
    );
    let twice = Kamailio::builder().param("pool", "name=p;servers=a");
    let twice = twice.param("pool", "name=p;servers=b");
    assert_refused(twice, &["parameter 'pool': ", "'p' already exists"]);
}

#[test]
fn a_pool_accepts_the_parameters_of_pools_only() {
    for (pool, words) in [
        (
            "name=p;servers=a;memory=1",
            [
                "'memory' of pool 'p': unknown parameter",
                "servers_file, expire",
            ],
        ),
        (
            "name=p;servers=a;pool=q",
            [
                "'pool' of pool 'p': unknown parameter",
                "servers_file, expire",
            ],
        ),
        (
            "name=p;servers=a;name=q",
            ["'name'", "servers_file, expire"],
        ),
        (
            "name=p;servers=a;nonsense=1",
            [
                "'nonsense' of pool 'p': unknown parameter",
                "servers_file, expire",
            ],
        ),
        (
            "name=p;servers=a;timeout=0",
            ["'timeout' of pool 'p'", "invalid value '0'"],
        ),
        (
            "name=p;servers=a;expire=1h",
            ["'expire' of pool 'p'", "invalid value '1h'"],
        ),
        (
            "name=p;servers=a;mode=+1",
            ["'mode' of pool 'p'", "invalid value '+1'"],
        ),
        (
            "name=p;servers=a;stringify=2",
            ["'stringify' of pool 'p'", "invalid value '2'"],
        ),
        ("name=p;servers=a:0", ["'servers' of pool 'p'", "'a:0'"]),
    ] {
        refused("pool", pool, &words);
    }
}

#[test]
fn there_is_a_stated_maximum_of_pools() {
    let with = |count: u32| {
        (1..=count).fold(Kamailio::builder(), |builder, number| {
            builder.param("pool", format!("name=p{number};servers=a"))
        })
    };
    assert!(with(63).check().ok);
    assert_refused(
        with(64),
        &[
            "pool 'p64' is one too many",
            "64 pools, the default pool included",
        ],
    );
}

/// Variables are resolved where the configuration has them, so a pool must stand before them.
#[test]
fn a_pool_is_declared_before_variables_use_it() {
    let own_file = |route: &str| {
        let host = Host::current();
        let scratch = host.scratch();
        let text = format!(
            "loadmodule \"pv.so\"\nloadmodule \"memcached.so\"\n\
             request_route {{ {route} }}\n\
             modparam(\"memcached\", \"pool\", \"name=late;servers=a\")\n"
        );
        let builder = Kamailio::builder().file(scratch.write("own.cfg", text));
        (scratch, builder)
    };
    let (_kept, builder) = own_file("$mct(late=>60) = 1;");
    assert_refused(
        builder,
        &[
            "parameter 'pool': ",
            "pool 'late' is declared after its first use",
        ],
    );
    let (_kept, builder) = own_file("$mct(late=>k=>60) = 1;");
    assert_refused(builder, &["unknown pool 'late'", "late=>k"]);
    let (_kept, builder) = own_file("$mct(late=>k) = 1;");
    assert_refused(builder, &["late=>k", "'late' is not a declared pool"]);
    let (_kept, builder) = own_file("$mct(late) = 1;");
    let check = builder.check();
    assert!(
        check.ok,
        "a key, whatever pools there are: {}",
        check.output
    );
}

#[test]
fn a_variable_names_a_key_after_its_pool() {
    let in_a_pool = |statement: &str| {
        let builder = Kamailio::builder().param("pool", "name=calls;servers=a");
        builder.script("bad", statement, &[])
    };
    for (statement, words) in [
        ("$mct(calls=>) = 1;", ["'calls=>'", "pool=>key"]),
        ("$mct(calls=>=>5) = 1;", ["'calls=>=>5'", "pool=>key"]),
        (
            "$mct(calls=>k=>5=>6) = 1;",
            ["too many '=>'", "pool=>key=>seconds"],
        ),
        (
            "$mct(cals=>k=>5) = 1;",
            ["unknown pool 'cals'", "pool=>key"],
        ),
        (
            "$mcinc(cals=>k) = 1;",
            ["cals=>k", "'cals' is not a declared pool"],
        ),
        ("$mctex(calls=>k=>1m) = 1;", ["1m", "seconds"]),
    ] {
        assert_refused(in_a_pool(statement), &words);
    }
    assert!(in_a_pool("$mct(calls=>k=>5) = 1;").check().ok);
}

#[test]
fn what_a_refusal_quotes_is_cut() {
    let builder = Kamailio::builder;
    let text = "x".repeat(5000);
    for builder in [
        builder().param("servers", &text[..]),
        builder().param("servers_file", &text[..]),
        builder().param("hash", &text[..]),
        builder().param("distribution", &text[..]),
        builder().param("hash_tag", &text[..]),
        builder().param("rejoin", &text[..]),
        builder().param("timeout", &text[..]),
        builder().param("pool", &text[..]),
        builder().param("pool", format!("name=p;servers=a;{text}=1")),
        builder().script("bad", &format!("$mct(k=>{text}) = 1;"), &[]),
    ] {
        assert_refused(builder, &[&format!("'{}...'", &text[..200])]);
    }
}

#[test]
fn only_forms_whose_values_can_be_split_take_large_values() {
    let both = |form: &str| {
        Kamailio::builder()
            .param("values", form)
            .param("large_values", 1)
    };
    for form in ["kamailio", "libmc"] {
        let check = both(form).check();
        assert!(check.ok, "{}", check.output);
    }
    for form in ["pylibmc", "pymemcache", "php", "dalli", "raw"] {
        let why = format!("no value of the form '{form}' is stored in parts");
        assert_refused(both(form), &["parameter 'large_values': ", &why, "'libmc'"]);
        let pool = format!("name=p;servers=a;values={form};large_values=1");
        refused("pool", pool, &["pool 'p': 'large_values' is 1", &why]);
    }
}
