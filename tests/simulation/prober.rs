//! Prober: the process of the node that probes.

use internals::Cache;
use internals::simulation::{self, Announcement, ProberProcess};
use kamailio_memcached::internals;

use super::world::World;

/// What the prober's process does.
pub fn probe(world: &World, cache: &mut Cache, prober: &mut ProberProcess) {
    let tick = simulation::TICK.as_nanos() as u64;
    loop {
        let lives = |pid: u32| {
            let state = world.state.borrow();
            state
                .processes
                .iter()
                .any(|it| it.pid == pid && !it.is_killed)
        };
        for Announcement { server, is_up } in prober.tick(cache, lives) {
            let mut state = world.state.borrow_mut();
            let now = state.now;
            state.history.announcements.push((now, server, is_up));
        }
        world.sleep(tick);
    }
}
