//! A folder of a test's own, removed when the handle is dropped.
//!
//! `MCT_KEEP=1` leaves the folders in place, to look at configurations and logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that lives as long as this handle.
///
/// Its name is short: socket paths may not be longer than 107 bytes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty folder below the system's folder for temporary files.
    pub fn new() -> Scratch {
        Scratch::below(&std::env::temp_dir())
    }

    /// A new, empty folder below `parent`.
    pub fn below(parent: &Path) -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("mct-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Scratch { path },
                // Left behind by an earlier process of the same number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => panic!("cannot make the scratch folder {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` inside; nothing is made.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file and tells where it is.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("MCT_KEEP").is_none() {
            // Nothing useful can be done about a failure here.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_gone_after_the_drop() {
        let scratch = Scratch::new();
        let path = scratch.path().to_owned();
        scratch.write("a", b"b");
        assert!(path.is_dir());
        drop(scratch);
        assert!(std::env::var_os("MCT_KEEP").is_some() || !path.exists());
    }

    #[test]
    fn two_do_not_meet() {
        assert_ne!(Scratch::new().path(), Scratch::new().path());
    }
}
