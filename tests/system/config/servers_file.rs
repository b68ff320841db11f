//! The parameter `servers_file`: whatever its path leads to, `kamailio -c` and `memcached.reload`
//! read it or refuse it in words, and never wait for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, os::unix::fs as unix};

use support::{Check, Host, Kamailio, Memcached, Request, Scratch, process};

/// The longest list of a file in bytes, as the manual states it.
const MAX_BYTES: usize = 1 << 20;

/// A folder of Kamailio's machine, in which each file has a fault of its own.
struct Folder {
    scratch: Scratch,
}

impl Folder {
    fn new() -> Folder {
        Folder {
            scratch: Host::current().scratch(),
        }
    }

    /// Each path with the words that refuse it.
    fn refused(&self) -> Vec<(PathBuf, &'static str)> {
        let pipe = self.scratch.join("pipe");
        let made = process::output(Command::new("mkfifo").arg(&pipe));
        assert!(made.expect("mkfifo runs").status.success());
        let link = self.scratch.join("link");
        unix::symlink("pipe", &link).expect("a link");
        let long = self.scratch.write("long", "a\n".repeat(MAX_BYTES / 2 + 1));
        let endless = self.scratch.write("endless", "");
        let endless = fs::File::options()
            .write(true)
            .open(endless)
            .and_then(|file| {
                file.set_len(1 << 40)?;
                Ok(self.scratch.join("endless"))
            });
        vec![
            (pipe, "it is a named pipe"),
            (link, "it is a named pipe"),
            (self.scratch.path().to_owned(), "it is a directory"),
            (long, "it is longer than 1 MiB"),
            (
                endless.expect("a file with a hole"),
                "it is longer than 1 MiB",
            ),
            (
                self.scratch.write("binary", b"a\nb\xff\n"),
                "line 2 is not UTF-8",
            ),
            (self.scratch.join("none"), "No such file"),
        ]
    }
}

fn inside(path: &Path) -> String {
    Host::current().inside(path).display().to_string()
}

fn check(path: &str) -> Check {
    Kamailio::builder().param("servers_file", path).check()
}

const ACCEPTED: &str = "; accepted: a regular file of UTF-8 text, 1 MiB at most";

#[test]
fn a_path_that_leads_to_no_list_stops_the_start() {
    for (path, words) in Folder::new().refused() {
        let path = inside(&path);
        let read = format!("parameter 'servers_file': cannot read '{path}': {words}");
        check(&path).assert_refused(&[&read, ACCEPTED]);
        let pool = format!("name=p;servers_file={path}");
        let of_pool = Kamailio::builder().param("pool", pool).check();
        of_pool.assert_refused(&["'servers_file' of pool 'p': cannot read ", words, ACCEPTED]);
    }
    check("/dev/zero").assert_refused(&["cannot read '/dev/zero': it is a device", ACCEPTED]);
}

#[test]
fn a_path_that_leads_to_no_list_is_no_reload() {
    let (memcached, folder) = (Memcached::start(), Folder::new());
    let list = folder.scratch.write("list", memcached.address());
    let kamailio = Kamailio::builder()
        .rpc()
        .param("servers_file", inside(&list))
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    let mut refused = folder.refused();
    refused.push(("/dev/zero".into(), "it is a device"));
    for (path, words) in refused {
        fs::remove_file(&list).expect("a link, or the list");
        let is_device = path.starts_with("/dev");
        let target = if is_device {
            path
        } else {
            inside(&path).into()
        };
        unix::symlink(target, &list).expect("a link");
        let fault = kamailio.try_rpc("memcached.reload", &[]).unwrap_err();
        let reason = "error: 400 - nothing changed: pool 'default': cannot read '";
        assert!(fault.starts_with(reason), "{fault}");
        let lines = kamailio.log_lines(&format!("': {words}"));
        let whole = lines.iter().any(|line| line.ends_with(ACCEPTED));
        assert!(whole || fault.contains(words), "{fault}: {lines:?}");
        assert_eq!(kamailio.run("read")["$mcst"], "miss", "{words}");
    }
}

#[test]
fn a_list_of_another_system_is_read() {
    let memcached = [Memcached::start(), Memcached::start()];
    let [one, two] = memcached.each_ref().map(Memcached::address);
    let scratch = Host::current().scratch();
    for text in [
        format!("\u{feff}{one}\r\n{two} two\r\n"),
        format!("\u{feff}# servers\r\n\r\n{one} # the first\r\n{two}\r"),
    ] {
        let list = scratch.write("list", text);
        let kamailio = Kamailio::builder()
            .param("servers_file", inside(&list))
            .script("set", "$mct($hdr(X-Key)) = 1;", &["$mcst"])
            .start();
        for number in 0..20 {
            let answer = kamailio.run_with("set", Request::about(format!("k{number}")));
            assert_eq!(answer["$mcst"], "stored");
        }
        for server in &memcached {
            assert!(!server.is_empty(), "no key belongs to it");
            for key in server.keys() {
                server.remove(key);
            }
        }
    }
}

#[test]
fn a_long_line_is_shown_by_its_beginning() {
    let scratch = Host::current().scratch();
    let list = scratch.write("list", "x".repeat(MAX_BYTES));
    let cut = format!("in '{}...'; accepted: ", "x".repeat(200));
    let words = "line 1: name or alias longer than 253 bytes ";
    check(&inside(&list)).assert_refused(&[&[words, &cut].concat()]);
}
