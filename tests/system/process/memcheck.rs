//! A real Kamailio below valgrind: no access to memory that is not there, no use of what was never
//! written, with the module anywhere on the stack. `make sanitize` runs it.

use std::fs;

use support::{Authority, Builder, Kamailio, Memcached, Pid, Request, Scratch};

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

/// Whether the error is an access to what is not there, and not only a use of what was never written.
///
/// ring keeps keys in memory of which it uses a part, and valgrind takes all that was encrypted with them for
/// never written.
fn is_access(error: &&str) -> bool {
    let kinds = ["UninitCondition", "UninitValue", "SyscallParam"];
    !kinds
        .iter()
        .any(|kind| error.contains(&format!("<kind>{kind}</kind>")))
}

/// What valgrind says of a process; a report has its end once the process has ended.
fn report(scratch: &Scratch, process: Pid) -> Option<String> {
    let report = fs::read_to_string(scratch.join(&process.to_string())).ok()?;
    report.contains("<state>FINISHED</state>").then_some(report)
}

/// A Kamailio below valgrind, which writes a report of each process into the folder.
struct Checked {
    kamailio: Kamailio,
    processes: Vec<Pid>,
    scratch: Scratch,
}

impl Checked {
    fn start(builder: Builder) -> Checked {
        let scratch = Scratch::new();
        let file = format!("--xml-file={}", scratch.join("%p").display());
        let words = [
            "valgrind",
            "--trace-children=yes",
            "--num-callers=50",
            "--xml=yes",
            &file,
        ];
        let kamailio = builder
            .param("retry_interval", 100)
            .rpc()
            .wrapper(&words)
            .start();
        Checked {
            processes: [vec![kamailio.pid()], kamailio.processes()].concat(),
            kamailio,
            scratch,
        }
    }

    /// It ends, and none of its processes has made an error that counts.
    #[track_caller]
    fn assert_clean(&self, counts: fn(&&str) -> bool) {
        assert!(self.kamailio.stop().success());
        for process in &self.processes {
            let report = report(&self.scratch, *process);
            let report = report.unwrap_or_else(|| self.kamailio.fail("no report of a process"));
            let errors: Vec<_> = ours(&report).into_iter().filter(counts).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
}

#[test]
#[ignore = "slow: a part of `make sanitize`"]
fn every_access_to_memory_is_to_what_is_there() {
    let (memcached, scratch) = (Memcached::start(), Scratch::new());
    let servers = scratch.write("servers", memcached.address());
    let pool = format!("name=other;servers_file={}", servers.display());
    let builder = Kamailio::on(&memcached).param("pool", pool);
    let checked = Checked::start(builder.script("operate", OPERATIONS, &["$mcst"]));
    let kamailio = &checked.kamailio;
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
    checked.assert_clean(|_| true);
}

#[test]
#[ignore = "slow: a part of `make sanitize`"]
fn every_access_to_memory_by_tls_is_to_what_is_there() {
    let authority = Authority::new();
    let ca = authority.file().display().to_string();
    let issued = authority.issue("server", "IP:127.0.0.1");
    let (chain, key) = (issued.chain.display(), issued.key.display());
    let options =
        format!("ssl_chain_cert={chain},ssl_key={key},ssl_verify_mode=2,ssl_ca_cert={ca}");
    let servers = [
        Memcached::secured(&options),
        Memcached::secured_by_1_2(&options),
    ];
    let [newer, older] = servers.each_ref().map(Memcached::address);
    let client = authority.issue("client", "DNS:client");
    let operations = OPERATIONS.replace("$mct(large)", "$mct(other=>large)")
        + "mct_mget(\"number,large,none\"); $var(x) = $mct(large); mct_prefetch(\"number\");";
    let builder = Kamailio::on(&servers[0])
        .param("tls", 1)
        .param("tls_ca", ca)
        .param("tls_cert", client.chain.display().to_string())
        .param("tls_key", client.key.display().to_string())
        .param("pool", format!("name=other;servers={older}"))
        .script("operate", &operations, &["$mcst"]);
    let checked = Checked::start(builder);
    let kamailio = &checked.kamailio;
    for round in 0..20 {
        let header = format!("x{}", "y".repeat(round * 20));
        kamailio.run_with("operate", Request::options().header("X", header));
        for memcached in &servers {
            match round {
                6 => memcached.kill(),
                9 => memcached.restart(),
                _ => {}
            }
        }
        if round % 3 == 0 {
            kamailio.rpc("memcached.reload", &[]);
            kamailio.rpc("memcached.ping", &[]);
            for server in [newer, older] {
                for state in ["disabled", "active"] {
                    kamailio.rpc("memcached.set_state", &[state, server]);
                }
            }
        }
    }
    for memcached in &servers {
        assert!(memcached.stat("cmd_get") > 5, "{}", memcached.address());
    }
    checked.assert_clean(is_access);
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
    let [read, never_written] = ["InvalidRead", "UninitCondition"].map(|kind| error(kind, "x"));
    assert!(is_access(&&*read) && !is_access(&&*never_written));
}
