//! What the two programs share: an end that comes by itself, the module to be
//! measured, and where the page goes.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, io, process, thread};

/// The whole run ends by itself, whatever hangs; the kernel then ends the servers.
pub fn end_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("not done after {limit:?}");
        process::abort();
    });
}

/// Whether there is a module to be measured; else the C module is measured alone.
pub fn has_module() -> bool {
    let module = match env::var_os("MCT_MODULE") {
        Some(path) => path.into(),
        None => target().join("release/memcached.so"),
    };
    if !module.exists() {
        eprintln!("There is no {}: the C module alone.", module.display());
    }
    module.exists()
}

/// Puts the page on standard output and into `bench/` of the target folder.
pub fn publish(name: &str, page: &str) -> io::Result<()> {
    let folder = target().join("bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), page)?;
    print!("{page}");
    Ok(())
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}
