//! The stock module, which ours replaces, as Debian packages it. It is downloaded and unpacked, but
//! never installed.
//!
//! `MCT_STOCK_MODULE` names another file to use. Otherwise the package is unpacked once, in
//! `target/stock`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::host::Host;
use crate::process;

const PACKAGES: [&str; 3] = [
    "kamailio-memcached-modules",
    "libmemcached11",
    "libhashkit2",
];

/// The path of the stock module.
///
/// # Panics
/// It cannot be downloaded, or the tests run in a slim root without `MCT_STOCK_MODULE`: the module
/// must fit the Kamailio of that root.
pub fn module() -> PathBuf {
    if let Some(path) = std::env::var_os("MCT_STOCK_MODULE") {
        return PathBuf::from(path);
    }
    assert!(
        Host::current().is_local(),
        "set MCT_STOCK_MODULE to the C module that fits MCT_ROOT"
    );
    unpacked().join("kamailio/modules/memcached.so")
}

/// The folder with the libraries that it needs, for `LD_LIBRARY_PATH`. `None` if we have not
/// unpacked the module.
pub fn libraries() -> Option<PathBuf> {
    let ours = std::env::var_os("MCT_STOCK_MODULE").is_none();
    ours.then(unpacked)
}

fn unpacked() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = crate::target().join("stock");
        if !folder.exists() {
            fetch(&folder);
        }
        folder
    });
    let arch = std::env::consts::ARCH;
    folder.join(format!("usr/lib/{arch}-linux-gnu"))
}

/// Unpacks the packages in another folder first, so that `folder` is complete as soon as it exists.
fn fetch(folder: &Path) {
    let beside = folder.with_extension(std::process::id().to_string());
    let debs = beside.join("debs");
    std::fs::create_dir_all(&debs)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", debs.display()));
    let mut download = Command::new("apt-get");
    download.args(["-o", "APT::Sandbox::User=root", "download"]);
    run(download.args(PACKAGES).current_dir(&debs));
    for entry in std::fs::read_dir(&debs).expect("just made") {
        let deb = entry.expect("readable").path();
        run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&beside));
    }
    // If another process was faster, its folder is just as good.
    if std::fs::rename(&beside, folder).is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
}

fn run(command: &mut Command) {
    let text = process::line(command);
    let output = process::output(command);
    let output = output.unwrap_or_else(|error| panic!("cannot start `{text}`: {error}"));
    assert!(
        output.status.success(),
        "`{text}` failed, {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
