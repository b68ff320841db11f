//! `Callers` is sipp: it makes calls at a steady rate and counts what became of them.

use std::fs;
use std::process::Command;

use crate::host::Host;
use crate::kamailio::Kamailio;
use crate::process;

/// Calls to a Kamailio. Each is a request to `alice` that ends with one response.
#[derive(Debug, Clone, Copy)]
pub struct Callers {
    /// The method of the request; a final response to `INVITE` is acknowledged.
    pub method: &'static str,
    /// The response that each call expects. Another one is a failure.
    pub response: u16,
    /// How many begin in a second.
    pub rate: usize,
    /// For how many seconds.
    pub seconds: usize,
}

/// What became of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Those that had the expected response.
    pub successful: u64,
    /// Requests that had to be sent again.
    pub retransmissions: u64,
}

impl Callers {
    /// Makes all the calls, and returns when the last one has ended. A call that fails, fails the test.
    #[track_caller]
    pub fn call(&self, kamailio: &Kamailio) -> Counted {
        let scratch = Host::current().scratch();
        let scenario = scratch.write("call.xml", self.scenario());
        let statistics = scratch.join("statistics");
        let mut sipp = Command::new("sipp");
        sipp.arg(kamailio.address().to_string())
            .args([
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-timeout",
                "60",
                "-trace_stat",
            ])
            .args(["-r", &self.rate.to_string()])
            .args(["-m", &(self.rate * self.seconds).to_string()])
            .arg("-sf")
            .arg(&scenario)
            .arg("-stf")
            .arg(&statistics)
            .current_dir(scratch.path());
        let output = process::output(&mut sipp).expect("sipp");
        let statistics = fs::read_to_string(&statistics).unwrap_or_default();
        if !output.status.success() {
            kamailio.fail(&format!("{output:?} {statistics}"));
        }
        Counted {
            successful: counted(&statistics, "SuccessfulCall(C)"),
            retransmissions: counted(&statistics, "Retransmissions(C)"),
        }
    }

    fn scenario(&self) -> String {
        let Self {
            method, response, ..
        } = self;
        let acknowledge = match *method {
            "INVITE" => format!("<send>{}</send>", request("ACK", "[peer_tag_param]")),
            _ => String::new(),
        };
        format!(
            r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="call">
  <send retrans="500">{}</send>
  <recv response="100" optional="true"/>
  <recv response="{response}"/>
  {acknowledge}
</scenario>
"#,
            request(method, "")
        )
    }
}

fn request(method: &str, tag: &str) -> String {
    format!(
        "<![CDATA[
    {method} sip:alice@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]>;tag=[call_number]
    To: <sip:alice@[remote_ip]>{tag}
    Call-ID: [call_id]
    CSeq: 1 {method}
    Contact: <sip:caller@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Length: 0

  ]]>"
    )
}

/// What sipp has counted under that name, the last time.
fn counted(statistics: &str, name: &str) -> u64 {
    let mut lines = statistics.lines().filter(|line| !line.is_empty());
    let names: Vec<_> = lines.next().expect("names").split(';').collect();
    let numbers: Vec<_> = lines.next_back().expect("numbers").split(';').collect();
    let at = names.iter().position(|known| *known == name);
    let at = at.unwrap_or_else(|| panic!("no {name} in {names:?}"));
    numbers[at].parse().expect("a number")
}
