//! Rejoin: empties a server that has been away, before anybody may use it again.
//!
//! While it was away its keys may have been written elsewhere, or deleted without it; what it
//! still holds is out of date. One that was restarted meanwhile is empty already.

use std::time::Duration;

use crate::clock::Deadline;
use crate::error::{Down, Error};
use crate::net::{Stream, Target};
use crate::patience::Patience;

/// The longest answer to `stats` that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// Empties the server at one of `targets`, away for `outage`; false if it was restarted meanwhile.
///
/// # Errors
/// Whatever kept it from being emptied.
pub fn flush(targets: &[Target], outage: Duration, deadline: Deadline) -> Result<bool, Error> {
    let patience = Patience::until(deadline);
    let mut stream = Stream::connect(targets, &patience)?;
    let stats = ask(&mut stream, b"stats\r\n", b"END\r\n", &patience)?;
    let uptime = uptime(&stats).ok_or(Error::Garbled("no uptime in the server's statistics"))?;
    if uptime < outage.as_secs() {
        return Ok(false);
    }
    match ask(&mut stream, b"flush_all\r\n", b"\r\n", &patience)?.as_slice() {
        b"OK\r\n" => Ok(true),
        _ => Err(Error::Garbled("the server does not flush")),
    }
}

fn ask(
    stream: &mut Stream,
    request: &[u8],
    end: &[u8],
    patience: &Patience<'_>,
) -> Result<Vec<u8>, Error> {
    stream.send(request, patience)?;
    let (mut answer, mut room) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(end) {
        if answer.len() > MAX_ANSWER {
            return Err(Error::Garbled("an answer without end"));
        }
        match stream.receive(&mut room, patience)? {
            0 => return Err(Error::Down(Down::Closed)),
            got => answer.extend_from_slice(&room[..got]),
        }
    }
    Ok(answer)
}

/// `STAT uptime <seconds>`
fn uptime(stats: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(stats).ok()?;
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("STAT uptime "))?;
    seconds.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// What `flush` makes of a server that answers each line with the next text.
    fn flush_from(answers: &'static [&'static str], outage: u64) -> (Result<bool, Error>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut asked = 0;
            for answer in answers {
                let mut line = String::new();
                asked += usize::from(stream.read_line(&mut line).unwrap() > 0);
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
            asked
        });
        let deadline = Deadline::new(Moment::now(), Duration::from_secs(5));
        let result = flush(&[target], Duration::from_secs(outage), deadline);
        (result, server.join().unwrap())
    }

    #[test]
    fn a_server_that_ran_on_is_emptied() {
        let (flushed, asked) = flush_from(&["STAT uptime 100\r\nEND\r\n", "OK\r\n"], 60);
        assert!(flushed.unwrap());
        assert_eq!(asked, 2);
    }

    #[test]
    fn a_server_that_was_restarted_is_not() {
        let (flushed, _) = flush_from(&["STAT pid 1\r\nSTAT uptime 3\r\nEND\r\n"], 60);
        assert!(!flushed.unwrap());
    }

    #[test]
    fn a_server_that_cannot_be_emptied_is_no_good() {
        let (refused, _) = flush_from(&["STAT uptime 100\r\nEND\r\n", "ERROR\r\n"], 60);
        assert!(matches!(refused, Err(Error::Garbled(_))), "{refused:?}");
        let (strange, _) = flush_from(&["END\r\n"], 60);
        assert!(matches!(strange, Err(Error::Garbled(_))), "{strange:?}");
        let (closed, _) = flush_from(&[""], 60);
        assert!(matches!(closed, Err(Error::Down(_))), "{closed:?}");
    }
}
