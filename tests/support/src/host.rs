//! `Host` is the file system in which Kamailio is installed: that of this machine, or the slim root
//! that `MCT_ROOT` names.
//!
//! A slim root is an unpacked Kamailio of another Debian. It is entered by chroot and shares
//! network and processes with this machine. Only paths differ, and this file translates them. In a
//! root for another processor, `/emulator` runs the programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process;
use crate::scratch::Scratch;

/// `(major, minor, patch)`. Versions compare in their usual order.
pub type Version = (u32, u32, u32);

/// The file system of this machine, or a slim root, whose Kamailio is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    root: Option<PathBuf>,
}

impl Host {
    /// The one for this test run: `MCT_ROOT`, or else this machine.
    pub fn current() -> Host {
        let root = std::env::var_os("MCT_ROOT").filter(|root| !root.is_empty());
        let root = root.map(|root| {
            std::fs::canonicalize(&root)
                .unwrap_or_else(|error| panic!("MCT_ROOT={}: {error}", root.display()))
        });
        Host { root }
    }

    /// True if it is this machine and not a slim root.
    pub fn is_local(&self) -> bool {
        self.root.is_none()
    }

    /// True if it is a slim root for another processor.
    pub fn is_emulated(&self) -> bool {
        let root = self.root.as_ref();
        root.is_some_and(|root| root.join("emulator").exists())
    }

    /// A command that runs one of its programs in `sbin`: `kamailio`, `kamcmd`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.root {
            None => Command::new(program),
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root);
                if self.is_emulated() {
                    command.arg("/emulator");
                }
                command.arg(format!("/usr/sbin/{program}"));
                command
            }
        };
        command.env("PATH", path());
        command
    }

    /// A scratch folder that its programs can use.
    pub fn scratch(&self) -> Scratch {
        match &self.root {
            None => Scratch::new(),
            Some(root) => Scratch::below(&root.join("tmp")),
        }
    }

    /// The path that its programs use for our `path`.
    pub fn inside(&self, path: &Path) -> PathBuf {
        match &self.root {
            None => path.to_owned(),
            Some(root) => {
                let inner = path.strip_prefix(root).unwrap_or_else(|_| {
                    panic!("{} is not inside {}", path.display(), root.display())
                });
                Path::new("/").join(inner)
            }
        }
    }

    /// The folder of its Kamailio's modules, as its programs name it.
    pub fn modules(&self) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let lib = root.join("usr/lib");
        let multiarch = std::fs::read_dir(&lib).into_iter().flatten().flatten();
        let mut folders = multiarch
            .map(|entry| entry.path())
            .chain([
                lib.clone(),
                root.join("usr/lib64"),
                root.join("usr/local/lib"),
            ])
            .map(|folder| folder.join("kamailio/modules"));
        let found = folders.find(|folder| folder.join("pv.so").exists());
        let found = found.unwrap_or_else(|| panic!("no Kamailio modules below {}", lib.display()));
        self.inside(&found)
    }

    /// True if its Kamailio has that module.
    pub fn has_module(&self, name: &str) -> bool {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let folder = self.modules();
        let folder = root.join(folder.strip_prefix("/").unwrap_or(&folder));
        folder.join(format!("{name}.so")).exists()
    }

    /// The version of its Kamailio, for example `(5, 6, 3)`.
    pub fn version(&self) -> Version {
        static CURRENT: OnceLock<Version> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let mut command = self.command("kamailio");
            let output = process::output(command.arg("-v"));
            let output = output.unwrap_or_else(|error| panic!("cannot run `kamailio -v`: {error}"));
            let text = String::from_utf8_lossy(&output.stdout);
            parse_version(&text).unwrap_or_else(|| panic!("no version in {text:?}"))
        })
    }
}

/// `PATH` with the folders for servers, which a normal user may not have.
pub(crate) fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Reads `version: kamailio 5.6.3 (x86_64/linux)`. Text behind the digits of a number, as in
/// `6.2.0-dev1`, is ignored.
fn parse_version(text: &str) -> Option<Version> {
    let word = text.split_once("version: ")?.1.split_whitespace().nth(1)?;
    let mut numbers = word.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit());
        part[..digits.unwrap_or(part.len())].parse().ok()
    });
    let major = numbers.next()??;
    let minor = numbers.next()??;
    Some((major, minor, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_any_suffix() {
        let read = |version| parse_version(&format!("version: kamailio {version} (x86_64/Linux)"));
        assert_eq!(read("5.6.3"), Some((5, 6, 3)));
        assert_eq!(read("6.2.0-dev1"), Some((6, 2, 0)));
        assert_eq!(read("6.0"), Some((6, 0, 0)));
        assert_eq!(parse_version("kamailio: not found"), None);
    }

    #[test]
    fn a_root_is_left_out_of_inner_paths() {
        let host = Host {
            root: Some("/srv/root".into()),
        };
        assert_eq!(
            host.inside(Path::new("/srv/root/tmp/a")),
            Path::new("/tmp/a")
        );
    }
}
