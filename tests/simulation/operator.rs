//! Operator: the commands that the plan of a run has.

use internals::Cache;
use internals::simulation;
use kamailio_memcached::internals;

use super::faults::Change;
use super::world::{MILLI, World};

/// What operators do.
pub fn operate(world: &World, cache: &mut Cache) {
    let setup = world.state.borrow().setup.clone();
    for (moment, change) in setup.plan.iter().filter(|(_, change)| change.is_command()) {
        let now = world.state.borrow().now;
        if *moment > now {
            world.sleep(moment - now);
        }
        world.state.borrow_mut().apply(change);
        world.state.borrow_mut().note_command();
        match change {
            Change::SetState { server, is_active } => {
                let word = if *is_active { "active" } else { "disabled" };
                simulation::set_state(cache, word, &setup.servers[*server].written);
            }
            Change::Reload { without } => {
                while !simulation::reload(cache, &setup.list(*without)) {
                    world.sleep(MILLI);
                }
            }
            Change::Tune { name, number } => simulation::tune(cache, name, *number),
            _ => {}
        }
        world.state.borrow_mut().note_command();
    }
    // A server that was not in the list could not be put back.
    for (at, server) in setup.servers.iter().enumerate() {
        let is_its =
            |change: &Change| matches!(change, Change::SetState { server, .. } if *server == at);
        if setup.plan.iter().any(|(_, change)| is_its(change)) {
            let change = Change::SetState {
                server: at,
                is_active: true,
            };
            world.state.borrow_mut().apply(&change);
            simulation::set_state(cache, "active", &server.written);
            world.state.borrow_mut().note_command();
        }
    }
}
