//! Kamailio loads the module in every place and mode, starts with it, checks with it,
//! and ends cleanly.

use std::fs;

use support::{Builder, Host, Kamailio, Memcached, Request, Scratch, module_under_test, wait};

/// A script that writes and reads.
fn with_script(memcached: &Memcached) -> Builder {
    Kamailio::on(memcached).script("use", "$mct(k) = 5;", &["$mct(k)", "$mcst"])
}

/// Starts, uses the module, and ends: what every way of loading has to allow.
#[track_caller]
fn assert_works(memcached: &Memcached, builder: Builder) {
    let kamailio = builder.start();
    let answer = kamailio.run("use");
    assert_eq!(answer["$mct(k)"], 5);
    assert_eq!(answer["$mcst"], "hit");
    memcached.assert_holds("k", 0, "5");
    let status = kamailio.stop();
    assert!(status.success(), "{status}\n{}", kamailio.log());
    kamailio.assert_nothing_logged();
}

#[test]
fn as_the_first_module() {
    let memcached = Memcached::start();
    assert_works(&memcached, with_script(&memcached).module_first());
}

#[test]
fn as_a_later_module() {
    let memcached = Memcached::start();
    assert_works(
        &memcached,
        with_script(&memcached).module("htable").module("tm"),
    );
}

#[test]
fn after_modules_whose_symbols_all_can_see() {
    let memcached = Memcached::start();
    // app_lua asks to be loaded with RTLD_GLOBAL, and exports the names that we export.
    assert_works(&memcached, with_script(&memcached).module("app_lua"));
}

#[test]
fn before_modules_whose_symbols_all_can_see() {
    let memcached = Memcached::start();
    assert_works(
        &memcached,
        with_script(&memcached).module_first().module("app_lua"),
    );
}

#[test]
fn with_several_children() {
    let memcached = Memcached::start();
    assert_works(&memcached, with_script(&memcached).children(4));
}

#[test]
fn with_tcp_workers() {
    let memcached = Memcached::start();
    assert_works(&memcached, with_script(&memcached).tcp());
}

#[test]
fn with_async_workers() {
    let memcached = Memcached::start();
    let builder = with_script(&memcached).global("async_workers=2");
    assert_works(&memcached, builder.module("tm").module("async"));
}

#[test]
fn with_rpc() {
    let memcached = Memcached::start();
    assert_works(&memcached, with_script(&memcached).rpc());
}

#[test]
fn as_a_daemon() {
    let memcached = Memcached::start();
    assert_works(&memcached, with_script(&memcached).daemon().children(2));
}

#[test]
fn by_its_plain_name_from_a_folder_of_ones_own() {
    let memcached = Memcached::start();
    let scratch = Scratch::new();
    let file = scratch.write(
        "own.cfg",
        r#"
        loadmodule "pv.so"
        loadmodule "sl.so"
        loadmodule "textops.so"
        loadmodule "memcached.so"
        modparam("memcached", "servers", MEMCACHED)
        request_route {
            $mct(k) = 5;
            append_to_reply("X-Value: $mct(k)\r\n");
            sl_send_reply("200", "OK");
        }"#,
    );
    let kamailio = Kamailio::builder()
        .file(file)
        .define("MEMCACHED", &format!("\"{}\"", memcached.address()))
        .start();
    assert_eq!(kamailio.sip(Request::options()).text("X-Value"), Some("5"));
    memcached.assert_holds("k", 0, "5");
    assert!(kamailio.stop().success());
}

#[test]
fn nobody_needs_a_memcached_to_start_or_to_end() {
    let kamailio = Kamailio::builder()
        .param("servers", "127.0.0.1:1")
        .children(2)
        .start();
    assert!(kamailio.stop().success());
}

#[test]
fn the_configuration_can_be_checked() {
    let check = Kamailio::builder()
        .script(
            "use",
            "$mct(k=>60) = 5; $mcinc(k) = 1; $mcdec(k) = 1; $mctex(k) = 1;",
            &["$mcst"],
        )
        .check();
    assert!(check.ok && check.code == Some(0), "{}", check.output);
    assert!(check.output.contains("config file ok"), "{}", check.output);
    assert!(!check.output.contains("memcached ["), "{}", check.output);
}

#[test]
fn a_start_that_fails_elsewhere_ends_in_an_orderly_way() {
    let failure = Kamailio::builder()
        .param_of("htable", "htable", "nonsense")
        .module("htable")
        .try_start()
        .unwrap_err();
    assert_eq!(failure.status.code(), Some(255), "{}", failure.log);
    assert!(!failure.log.contains("memcached ["), "{}", failure.log);
}

#[test]
fn the_script_can_ask_whether_it_is_there() {
    let kamailio = Kamailio::builder()
        .request_route(
            "#!ifdef MOD_memcached\n sl_send_reply(\"200\", \"There\");\n\
             #!else\n sl_send_reply(\"404\", \"Not There\");\n#!endif\n",
        )
        .start();
    assert_eq!(kamailio.sip(Request::options()).code, 200);
}

#[test]
fn loading_it_twice_is_an_error_that_kamailio_reports() {
    let scratch = Scratch::new();
    let twice = "loadmodule \"memcached.so\"\n".repeat(2) + "request_route { exit; }\n";
    let file = scratch.write("twice.cfg", twice);
    let check = Kamailio::builder().file(file).check();
    assert!(!check.ok);
    assert!(check.output.contains("twice"), "{}", check.output);
}

/// Its names are taken, so Kamailio closes it again. What it has given away must not be called then.
#[test]
fn a_second_copy_that_kamailio_closes_again_crashes_nothing() {
    let host = Host::current();
    let scratch = host.scratch();
    let load = |folder: &str| {
        let folder = scratch.join(folder);
        fs::create_dir(&folder).expect("a folder");
        let copy = folder.join("memcached.so");
        fs::copy(module_under_test(), &copy).expect("a copy");
        format!("loadmodule \"{}\"\n", host.inside(&copy).display())
    };
    let loads = load("one") + &load("other") + "request_route { exit; }\n";
    let check = Kamailio::builder()
        .file(scratch.write("copies.cfg", loads))
        .check();
    assert!(
        check.code.is_some(),
        "a signal has ended it: {}",
        check.output
    );
}

#[test]
fn all_processes_end_when_they_hold_connections() {
    let memcached = Memcached::start();
    let kamailio = with_script(&memcached).children(2).tcp().start();
    let open = memcached.stat("curr_connections");
    for _ in 0..8 {
        kamailio.run("use");
    }
    kamailio.run_with("use", Request::options().tcp());
    assert!(memcached.stat("curr_connections") > open);
    assert!(kamailio.stop().success());
    wait::until("the connections to close", wait::WAIT_LIMIT, || {
        memcached.stat("curr_connections") <= open
    });
}
