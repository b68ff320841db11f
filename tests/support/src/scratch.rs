//! `Scratch` is a folder of one test, which is removed when the handle is dropped.
//!
//! With `MCT_KEEP=1` the folders stay, so that one can look at configurations and logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that exists as long as this handle.
///
/// Its name is short, because the path of a socket has at most 107 bytes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a new folder in the system's folder for temporary files.
    pub fn new() -> Scratch {
        Scratch::below(&std::env::temp_dir())
    }

    /// Makes a new folder in `parent`.
    pub fn below(parent: &Path) -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("mct-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Scratch { path },
                // An earlier process with the same id has left it behind.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => panic!("cannot make the scratch folder {}: {error}", path.display()),
            }
        }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in the folder. Nothing is created.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file and returns its path.
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
            // If this fails, nothing can be done about it.
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
