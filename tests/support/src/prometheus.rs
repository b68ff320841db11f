//! `Prometheus` is a running Prometheus, which reads pages of others and evaluates rules.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::port::Port;
use crate::process::{self, Process};
use crate::scratch::Scratch;
use crate::wait;

/// A running Prometheus. It is killed when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: Port,
    _scratch: Scratch,
}

impl Prometheus {
    /// Whether this machine has it.
    pub fn is_installed() -> bool {
        process::output(command("prometheus").arg("--version")).is_ok()
    }

    /// What its tool `promtool` has against a page.
    pub fn complaints_about_page(page: &str) -> String {
        let mut shell = command("sh");
        shell.args(["-c", "promtool check metrics <\"$0\" 2>&1"]);
        complaints(shell, page)
    }

    /// What it has against rules.
    pub fn complaints_about_rules(rules: &str) -> String {
        let mut promtool = command("promtool");
        promtool.args(["check", "rules"]);
        complaints(promtool, rules)
    }

    /// Starts one that reads the page at this address and path several times a second, and evaluates these
    /// rules as often.
    pub fn start(target: SocketAddr, path: &str, rules: &str) -> Prometheus {
        let (port, scratch) = (Port::free(), Scratch::new());
        let rules = scratch.write("rules.yml", rules);
        let config = format!(
            "global: {{scrape_interval: 300ms, scrape_timeout: 300ms, evaluation_interval: 300ms}}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n\
             - {{job_name: kamailio, metrics_path: {path}, static_configs: [{{targets: ['{target}']}}]}}\n",
            rules.display()
        );
        let config = scratch.write("prometheus.yml", config);
        let mut prometheus = command("prometheus");
        prometheus.args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", scratch.join("data").display()),
            format!("--web.listen-address={}", port.v4()),
            "--log.level=warn".into(),
        ]);
        let process = Process::spawn(prometheus, &scratch.join("log"), libc::SIGKILL);
        let prometheus = Prometheus {
            process,
            port,
            _scratch: scratch,
        };
        let ready = wait::poll(wait::WAIT_LIMIT, || {
            let answer = prometheus.try_get("/-/ready").ok()?;
            answer
                .starts_with("Prometheus Server is Ready")
                .then_some(())
        });
        match ready {
            Some(()) => prometheus,
            None => panic!("Prometheus did not start\n{}", prometheus.process.account()),
        }
    }

    /// The answer of its HTTP API, as JSON. `parameters` are names and values.
    #[track_caller]
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", encoded(value));
        let query: Vec<_> = parameters.iter().map(pair).collect();
        let path = format!("/api/v1/{path}?{}", query.join("&"));
        match self.try_get(&path) {
            Ok(answer) => answer,
            Err(error) => panic!("{path}: {error}\n{}", self.process.account()),
        }
    }

    fn try_get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.port.v4())?;
        stream.set_read_timeout(Some(wait::WAIT_LIMIT))?;
        // Whoever is asked by HTTP/1.0 closes the connection behind the answer.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.into());
        Ok(body.unwrap_or(answer))
    }
}

/// What a checking program says about a text in a file, if it does not accept it.
fn complaints(mut checker: Command, text: &str) -> String {
    let scratch = Scratch::new();
    checker.arg(scratch.write("text", text));
    let output = process::output(&mut checker).expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&said).into_owned(),
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", crate::host::path());
    command
}

/// A text as a value in a URL.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}
