//! Parts that both programs need: they end after a limit, find our module, and write the page.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, io, process, thread};

/// Ends the whole run after `limit`, even if something hangs. The kernel then ends the servers.
pub fn end_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("not done after {limit:?}");
        process::abort();
    });
}

/// True if our module was built. Otherwise only the stock module is measured.
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

/// Writes the page to standard output and to `bench/` in the target folder.
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
