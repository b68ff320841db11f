//! A real Kamailio below valgrind: no access to memory that is not there, no use of what was never
//! written, with the module anywhere on the stack. `make sanitize` runs it.

use std::fs;

use support::{Kamailio, Memcached, Pid, Request, Scratch};

const OPERATIONS: &str = r#"
    $mct(text$hdr(X)) = $hdr(X);
    $mct(number=>$var(lifetime)) = 5;
    $mcinc(number) = 3;
    $mcdec(number) = 1;
    $mcinc(text$hdr(X)) = 1;
    $mctex(number) = 60;
    $mct(large) = $hdr(X) + $mct(large);
    $mct(other=>nested:$mct(number)) = $mct(text$hdr(X)) + $mct(number);
    $var(status) = $mcst + $mcst + $mct(nothing) + $mctex(number) + $mcev(server);
    $mct($hdr(None){s.trim}) = "refused";
    $mct(number=>$hdr(X)) = "refused";
    $mct(number) = $null;
"#;

/// The errors in valgrind's report that have the module on a stack. What the configuration has made
/// lasts until the end, which valgrind calls a leak.
fn ours(report: &str) -> Vec<&str> {
    let errors = report.split("<error>").skip(1);
    let errors = errors.filter_map(|error| error.split("</error>").next());
    errors
        .filter(|error| error.contains("memcached.so</obj>"))
        .filter(|error| !error.contains("<kind>Leak_"))
        .collect()
}

/// What valgrind says of a process; a report has its end once the process has ended.
fn report(scratch: &Scratch, process: Pid) -> Option<String> {
    let report = fs::read_to_string(scratch.join(&process.to_string())).ok()?;
    report.contains("<state>FINISHED</state>").then_some(report)
}

#[test]
#[ignore = "slow: a part of `make sanitize`"]
fn every_access_to_memory_is_to_what_is_there() {
    let (memcached, scratch) = (Memcached::start(), Scratch::new());
    let servers = scratch.write("servers", memcached.address());
    let file = format!("--xml-file={}", scratch.join("%p").display());
    let words = [
        "valgrind",
        "--trace-children=yes",
        "--num-callers=50",
        "--xml=yes",
        &file,
    ];
    let kamailio = Kamailio::on(&memcached)
        .param(
            "pool",
            format!("name=other;servers_file={}", servers.display()),
        )
        .param("retry_interval", 100)
        .script("operate", OPERATIONS, &["$mcst"])
        .rpc()
        .wrapper(&words)
        .start();
    let processes = [vec![kamailio.pid()], kamailio.processes()].concat();
    for round in 0..30 {
        let header = format!("x{}", "y".repeat(round * 20));
        kamailio.run_with("operate", Request::options().header("X", header));
        match round {
            10 => memcached.kill(),
            15 => memcached.restart(),
            _ => {}
        }
        if round % 5 == 0 {
            for command in ["list", "reload", "ping"] {
                kamailio.rpc(&format!("memcached.{command}"), &[]);
            }
            kamailio.rpc("memcached.hash", &["number"]);
            kamailio.rpc("memcached.set_state", &["active", memcached.address()]);
            assert!(kamailio.try_rpc("memcached.list", &["nowhere"]).is_err());
        }
    }
    assert!(memcached.stat("cmd_get") > 20 && memcached.stat("cmd_touch") > 5);
    assert!(kamailio.stop().success());
    for process in processes {
        let report = report(&scratch, process);
        let report = report.unwrap_or_else(|| kamailio.fail("no report of a process"));
        assert!(ours(&report).is_empty(), "{:#?}", ours(&report));
    }
}

#[test]
fn an_error_is_ours_when_the_module_is_on_its_stack() {
    let error =
        |kind: &str, object: &str| format!("<error><kind>{kind}</kind><obj>{object}</obj></error>");
    let report = [
        error("InvalidRead", "/usr/sbin/kamailio"),
        error("InvalidRead", "/x/memcached.so"),
        error("Leak_DefinitelyLost", "/x/memcached.so"),
    ];
    assert_eq!(ours(&report.concat()).len(), 1);
}
