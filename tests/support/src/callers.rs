//! `Callers` call a Kamailio at a steady rate, each with one request, and count what became of that.

use crate::kamailio::Kamailio;
use crate::sipp::{Counted, Load, Sipp};

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

impl Callers {
    /// Makes all the calls, and returns when the last one has ended. A call that fails, fails the test.
    #[track_caller]
    pub fn call(&self, kamailio: &Kamailio) -> Counted {
        let load = Load {
            rate: self.rate,
            most_open: None,
            seconds: self.seconds,
        };
        let sipp = Sipp::start(kamailio.address(), &self.scenario(), load);
        match sipp.wait() {
            Ok(counted) => counted,
            Err(error) => kamailio.fail(&error),
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
