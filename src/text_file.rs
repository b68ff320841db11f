//! A text file that an operator names.
//!
//! The path may lead to anything: a directory, a pipe that nobody writes to, a device without an
//! end. Reading it never waits, needs little memory, and either gives a text or says why not.

use std::fmt;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use crate::quoted::quoted;
use crate::secret::Secret;

/// The largest length of a file in bytes.
const MAX_BYTES: usize = 1 << 20;

const ACCEPTED: &str = "a regular file of UTF-8 text, 1 MiB at most";

/// Reads the file at `path`. A byte order mark at its beginning is dropped.
///
/// # Errors
/// One line for the operator: the path, what is wrong, and what is accepted.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let refuse = |fault| {
        format!(
            "cannot read {}: {fault}; accepted: {ACCEPTED}",
            quoted(path)
        )
    };
    text(path).map_err(refuse)
}

/// Who may read a file with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody but its owner.
    Owner,
    /// Its group, too: keys often belong to a group whose programs may use them.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    Group,
}

impl Readers {
    /// The permissions that nobody else may have.
    fn others(self) -> u32 {
        match self {
            Self::Owner => 0o077,
            Self::Group => 0o007,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Owner => "only its owner",
            Self::Group => "only its owner and its group",
        }
    }
}

/// Reads the file at `path`, which nobody but these `readers` may read, and which has `most` bytes at most.
///
/// # Errors
/// One line for the operator: the path, what is wrong, and what is accepted.
pub(crate) fn read_secret(path: &str, readers: Readers, most: usize) -> Result<Secret, String> {
    let read = || {
        let file = open(path)?;
        let mode = file.metadata()?.mode() & 0o777;
        if mode & readers.others() != 0 {
            return Err(Fault::Readable(mode));
        }
        Secret::read(file, most)?.ok_or(Fault::LongSecret(most))
    };
    read().map_err(|fault| {
        format!(
            "cannot read {}: {fault}; accepted: a regular file that {} may read, {most} bytes at most",
            quoted(path),
            readers.words()
        )
    })
}

/// Opens a regular file, without waiting.
fn open(path: &str) -> Result<File, Fault> {
    // Without `O_NONBLOCK` this would wait for a writer of a pipe, and without `O_NOCTTY` a terminal
    // could become ours.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() {
        true => Ok(file),
        false => Err(Fault::NotRegular(kind)),
    }
}

fn text(path: &str) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(Fault::TooLong);
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line_ends = before.iter().filter(|&&byte| byte == b'\n').count();
        Fault::NotText(line_ends + 1)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// What is wrong with a file.
enum Fault {
    Io(io::Error),
    NotRegular(FileType),
    TooLong,
    LongSecret(usize),
    /// Others may read it, as these permissions say.
    Readable(u32),
    /// The number of the first line that is not UTF-8.
    NotText(usize),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotRegular(kind) if kind.is_dir() => f.write_str("it is a directory"),
            Self::NotRegular(kind) if kind.is_fifo() => f.write_str("it is a named pipe"),
            Self::NotRegular(_) => f.write_str("it is a device"),
            Self::TooLong => f.write_str("it is longer than 1 MiB"),
            Self::LongSecret(most) => write!(f, "it is longer than {most} bytes"),
            Self::Readable(mode) => write!(f, "others may read it (its mode is {mode:04o})"),
            Self::NotText(line) => write!(f, "line {line} is not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use support::Scratch;

    use super::*;

    /// A folder that is removed at the end.
    struct Folder(Scratch);

    impl Folder {
        fn new() -> Self {
            Self(Scratch::new())
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_str().unwrap().to_owned()
        }

        fn read(&self, bytes: impl AsRef<[u8]>) -> Result<String, String> {
            let path = self.path("file");
            fs::write(&path, bytes).unwrap();
            read(&path)
        }
    }

    #[test]
    fn a_regular_file_is_read_without_its_byte_order_mark() {
        let folder = Folder::new();
        for (bytes, text) in [
            ("", ""),
            ("a\r\nb\n", "a\r\nb\n"),
            ("\u{feff}a", "a"),
            ("a\u{feff}", "a\u{feff}"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
        ] {
            assert_eq!(folder.read(bytes).as_deref(), Ok(text));
        }
        let longest = "x".repeat(MAX_BYTES);
        assert!(folder.read(&longest) == Ok(longest));
    }

    #[test]
    fn a_secret_file_is_for_its_owner_alone_or_for_its_group() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let path = folder.path("file");
        fs::write(&path, "hush").unwrap();
        let read_by = |readers, mode, most| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_secret(&path, readers, most)
        };
        let read_as = |mode, most| read_by(Readers::Owner, mode, most);
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(&*read_as(mode, 4).unwrap(), b"hush");
        }
        for (mode, shown) in [
            (0o640, "0640"),
            (0o604, "0604"),
            (0o610, "0610"),
            (0o777, "0777"),
        ] {
            let line = read_as(mode, 4).unwrap_err();
            let fault = format!("others may read it (its mode is {shown}); accepted: ");
            assert!(line.contains(&fault), "{line}");
        }
        for mode in [0o600, 0o640, 0o440] {
            assert_eq!(&*read_by(Readers::Group, mode, 4).unwrap(), b"hush");
        }
        for mode in [0o644, 0o604, 0o602, 0o601] {
            let line = read_by(Readers::Group, mode, 4).unwrap_err();
            let fault = format!("others may read it (its mode is {mode:04o}); accepted: ");
            assert!(line.contains(&fault), "{line}");
            assert!(
                line.contains("only its owner and its group may read"),
                "{line}"
            );
        }
        let long = read_as(0o600, 3).unwrap_err();
        assert!(
            long.contains("it is longer than 3 bytes; accepted: "),
            "{long}"
        );
        let none = read_secret(&folder.path("none"), Readers::Owner, 9).unwrap_err();
        assert!(none.contains("No such file"), "{none}");
    }

    #[test]
    fn what_is_no_text_file_is_refused_in_words_and_without_waiting() {
        let folder = Folder::new();
        let pipe = folder.path("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for (path, fault) in [
            (&*pipe, "it is a named pipe"),
            (folder.0.path().to_str().unwrap(), "it is a directory"),
            ("/dev/zero", "it is a device"),
            (&folder.path("none"), "No such file"),
        ] {
            let line = read(path).unwrap_err();
            assert!(line.starts_with("cannot read '/"), "{line}");
            assert!(line.contains(fault), "{line}");
            assert!(line.ends_with(&format!("; accepted: {ACCEPTED}")), "{line}");
        }
        let long = folder.read("x".repeat(MAX_BYTES + 1)).unwrap_err();
        assert!(long.contains("': it is longer than 1 MiB; "), "{long}");
        let binary = folder.read(b"a\nb\nc\xff\n").unwrap_err();
        assert!(binary.contains("': line 3 is not UTF-8; "), "{binary}");
    }
}
