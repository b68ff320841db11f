//! `Sipp` is a running sipp: it makes calls at a steady rate, each as a scenario says, and counts them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::host::Host;
use crate::pid;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// A running sipp. It is killed when it is dropped.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    statistics: PathBuf,
    errors: PathBuf,
    limit: Duration,
    _scratch: Scratch,
}

/// What sipp has counted from one moment to the next one, or in all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counted {
    /// The time since its start.
    pub elapsed: Duration,
    /// Calls that have ended as the scenario says.
    pub successful: u64,
    /// Calls that have not.
    pub failed: u64,
    /// Requests that had to be sent again.
    pub retransmissions: u64,
    /// The mean time that responses took, if the scenario measures it as number 1.
    pub response: Duration,
}

/// How many calls sipp makes.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many begin in a second.
    pub rate: usize,
    /// How many may be under way; while there are so many, no more begin. `None` = three seconds' worth of them.
    pub most_open: Option<usize>,
    /// For how many seconds.
    pub seconds: usize,
}

impl Sipp {
    /// Starts one.
    pub fn start(target: SocketAddr, scenario: &str, load: Load) -> Sipp {
        // A call may begin a little late, and take a while.
        let limit = load.seconds + 60;
        let scratch = Host::current().scratch();
        let statistics = scratch.join("statistics");
        let errors = scratch.join("errors");
        let mut sipp = Command::new("sipp");
        sipp.arg(target.to_string())
            .args(["-i", "127.0.0.1", "-nostdin"])
            .args(["-timeout", &limit.to_string()])
            .args(["-r", &load.rate.to_string()])
            .args(["-m", &(load.rate * load.seconds).to_string()])
            .arg("-sf")
            .arg(scratch.write("call.xml", scenario))
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics)
            .args(["-trace_err", "-error_file"])
            .arg(&errors)
            .current_dir(scratch.path());
        if let Some(most) = load.most_open {
            sipp.args(["-l", &most.to_string()]);
        }
        let process = Process::spawn(sipp, &scratch.join("log"), libc::SIGKILL);
        Sipp {
            process,
            statistics,
            errors,
            limit: Duration::from_secs(limit as u64) + wait::WAIT_LIMIT,
            _scratch: scratch,
        }
    }

    /// Lets no more calls begin. Those that are under way go on.
    pub fn end(&self) {
        if self.process.alive() {
            pid::signal(self.process.pid().0, libc::SIGUSR1);
        }
    }

    /// Waits until all calls have ended, and returns their counts. `Err` has what went wrong if one of them
    /// has not ended as the scenario says.
    pub fn wait(&self) -> Result<Counted, String> {
        let status = self.process.wait(self.limit);
        let counted = self.seconds().1;
        match status {
            Some(status) if status.success() => Ok(counted),
            status => {
                let errors = fs::read_to_string(&self.errors).unwrap_or_default();
                let errors: Vec<&str> = errors.lines().take(60).collect();
                Err(format!("{status:?} {counted:?}\n{}", errors.join("\n")))
            }
        }
    }

    /// What it has counted in each second, and in all.
    pub fn seconds(&self) -> (Vec<Counted>, Counted) {
        let statistics = fs::read_to_string(&self.statistics).unwrap_or_default();
        let mut lines = statistics.lines().filter(|line| !line.is_empty());
        let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        // The last line may be only half written.
        let rows = lines.map(|line| line.split(';').collect::<Vec<_>>());
        let rows: Vec<_> = rows.filter(|row| row.len() == names.len()).collect();
        let read = |row: &[&str], of: &str| Counted {
            elapsed: time(field(&names, row, "ElapsedTime(C)")),
            successful: number(field(&names, row, &format!("SuccessfulCall({of})"))),
            failed: number(field(&names, row, &format!("FailedCall({of})"))),
            retransmissions: number(field(&names, row, &format!("Retransmissions({of})"))),
            response: time(field(&names, row, &format!("ResponseTime1({of})"))),
        };
        let seconds = rows.iter().map(|row| read(row, "P")).collect();
        let all = rows.last().map(|row| read(row, "C"));
        (seconds, all.unwrap_or_default())
    }
}

/// The field of that name. The response time is there only if the scenario measures it.
fn field<'a>(names: &[&str], row: &[&'a str], name: &str) -> Option<&'a str> {
    let at = names.iter().position(|known| *known == name)?;
    Some(row[at])
}

fn number(field: Option<&str>) -> u64 {
    field.expect("a field").parse().expect("a number")
}

/// Reads `00:01:02:003000`, which are hours, minutes, seconds and microseconds, or `00:01:02` without these.
fn time(field: Option<&str>) -> Duration {
    let parts = field.unwrap_or_default().split(':');
    let parts: Vec<u64> = parts.map(|part| part.parse().unwrap_or(0)).collect();
    let hours = parts.iter().take(3).fold(0, |sum, part| sum * 60 + part);
    Duration::from_secs(hours) + Duration::from_micros(parts.get(3).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_fraction() {
        assert_eq!(time(Some("01:02:03")), Duration::from_secs(3723));
        assert_eq!(time(Some("00:00:01:250000")), Duration::from_millis(1250));
        assert_eq!(time(None), Duration::ZERO);
    }
}
