//! Prober: finds out where servers are, and when those that are out are back, so that no worker
//! has to.
//!
//! One process of the host calls [`tick`] again and again; whatever is due is asked at the same
//! time. It serves no calls, so it may wait.

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::probe::probe;

/// How often it should be called: the precision of the intervals that operators set.
pub const TICK: Duration = Duration::from_millis(50);

/// How long a probe may take at most.
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// Has all names looked up and waits for the answers, `time` at most: for the start, so that the
/// first call finds its servers.
pub fn look_up(cache: &mut Cache, time: Duration) {
    let start = Moment::now();
    let members = cache
        .pools_mut()
        .iter_mut()
        .flat_map(|pool| pool.members_mut());
    members.for_each(|member| member.look_up(start));
    for member in cache.pools().iter().flat_map(|pool| pool.members()) {
        member.wait_for_lookup(time.saturating_sub(Moment::now().since(start)));
    }
}

/// Asks every server that is due; `lives` tells whether a process is still there.
pub fn tick(cache: &mut Cache, lives: impl Fn(u32) -> bool) {
    let now = Moment::now();
    let (mut due, mut servers) = (Vec::new(), Vec::new());
    cache.refresh();
    for (at, pool) in cache.pools_mut().iter_mut().enumerate() {
        let settings = pool.settings().clone();
        for (index, member) in pool.members_mut().iter_mut().enumerate() {
            member.look_up(now);
            if member.is_due(now, &settings, &lives) {
                due.push((at, index));
                servers.push(member.targets());
            }
        }
    }
    if due.is_empty() {
        return;
    }
    let results = probe(servers, &Deadline::new(now, PROBE_LIMIT));
    let pools = cache.pools();
    for ((at, index), result) in due.into_iter().zip(results) {
        if let Some(member) = pools[at].members().get(index) {
            member.probed(result, pools[at].settings());
        }
    }
}
