//! ConfigCheck: `kamailio -c` refuses parameters that are wrong only together, such as a key without a certificate.
//!
//! What is missing is known when the whole configuration was read, and then `kamailio -c` ends without a word to
//! modules. So the module looks when the process ends. A process that has read the configuration, is not started and ends
//! well has checked it; or is the parent of the daemon, which then has found nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use super::host::exit;
use super::process::PARAMETERS;

static IS_STARTED: AtomicBool = AtomicBool::new(false);

/// From now on a process that ends without a start ends badly if the parameters are bad.
pub(super) fn expect() {
    exit::before(is_good);
}

/// The start has come, and checks the parameters itself.
pub(super) fn is_over() {
    IS_STARTED.store(true, Ordering::Relaxed);
}

fn is_good() -> bool {
    if IS_STARTED.load(Ordering::Relaxed) {
        return true;
    }
    let lack = PARAMETERS.with(|parameters| parameters.get_or_insert_default().lack());
    match lack.flatten() {
        Some(lack) => {
            log::error!(target: "config_check", "{lack}");
            false
        }
        None => true,
    }
}
