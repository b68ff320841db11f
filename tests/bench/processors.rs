//! Workers with a processor for each.

use std::io;

use support::Pid;

use crate::processor::{allow, allow_process, allowed, has, limit};

/// All processors that this process could use if it were not bound.
pub fn all() -> io::Result<Vec<usize>> {
    let own = allowed()?;
    allow(|_| true)?;
    let all = allowed();
    allow(|number| has(&own, number))?;
    let all = all?;
    Ok((0..limit()).filter(|&number| has(&all, number)).collect())
}

/// Binds another process to a processor.
pub fn bind_other(process: Pid, number: usize) -> io::Result<()> {
    let process = process.to_string().parse().map_err(io::Error::other)?;
    allow_process(process, |it| it == number)
}
