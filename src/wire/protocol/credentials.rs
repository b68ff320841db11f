//! Credentials: user and password for memcached's ASCII authentication (`-Y`).
//!
//! On a connection to such a server a `set` comes first, whose value is `user password`. A server without
//! authentication takes it for an item. So its lifetime is negative, with which nothing is kept.

use std::sync::Arc;

use super::Kind;
use super::framing::Input;
use super::refusal::{printable, refusal};
use super::text::{MAX_REQUEST, Part};
use crate::error::{Denied, Error, Refusal};
use crate::quoted::quoted;
use crate::secret::Secret;
use crate::text_file::{self, Readers};

/// What stands in front of the words: the key is one that nobody uses, as a server without authentication
/// drops the item that it had there.
const HEAD: &[u8] = b"set kamailio-memcached:login 0 -1 ";

/// The longest line that memcached reads in its own file.
const MAX_LINE: usize = 255;

const ACCEPTED: &str =
    "one line user:password, without control characters, the user without spaces";

/// User and password, and the file that they come from. All clones have the same words.
#[derive(Debug, Clone)]
pub struct Credentials {
    path: Arc<str>,
    /// `user password`
    words: Arc<Secret>,
}

impl Credentials {
    /// Reads the file at `path`: one line `user:password`.
    ///
    /// # Errors
    /// One line for the operator: the path, what is wrong, and what is accepted. It has none of the words.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let file = text_file::read_secret(path, Readers::Owner, MAX_LINE + 2)?;
        let refuse = |fault| {
            Err(format!(
                "file {}: {fault}; accepted: {ACCEPTED}",
                quoted(path)
            ))
        };
        let line = file.strip_suffix(b"\n").unwrap_or(&file);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return refuse("there is no colon");
        };
        if line.len() > MAX_LINE {
            return refuse("it is longer than 255 bytes");
        }
        if line.contains(&b'\n') {
            return refuse("there is more than one line");
        }
        if line.iter().any(u8::is_ascii_control) {
            return refuse("there is a control character");
        }
        if colon == 0 || line[..colon].contains(&b' ') {
            return refuse("the user is empty, or has a space");
        }
        if colon + 1 == line.len() {
            return refuse("the password is empty");
        }
        let mut words = Secret::from(line);
        words.replace(colon, b' ');
        Ok(Self {
            path: path.into(),
            words: Arc::new(words),
        })
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_again(&self) -> Result<Self, String> {
        Self::read(&self.path)
    }

    /// Appends the request to `out`, which is empty. Nothing of it is moved within the memory.
    ///
    /// # Errors
    /// [`Refusal::Memory`]
    pub(in crate::wire) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let room = self.words.len() + MAX_REQUEST;
        out.try_reserve(room).map_err(|_| Refusal::Memory)?;
        out.extend_from_slice(HEAD);
        out.extend_from_slice(self.words.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.words);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// Reads the reply to it. If that has arrived and is good, the first reply to a request is next.
///
/// # Errors
/// [`Error::Denied`]; [`Error::Garbled`] for anything that is no reply to the request.
#[cold]
pub(super) fn decode(part: &mut Part, input: &mut Input) -> Result<(), Error> {
    match input.line()? {
        None => Ok(()),
        Some(b"STORED") => {
            *part = Part::Beginning;
            Ok(())
        }
        // If a request follows at once, memcached 1.6 answers that alone, in words of its own.
        Some(line) if line.starts_with(b"CLIENT_ERROR") => {
            Err(Error::Denied(Denied::Credentials(printable(line))))
        }
        Some(line) => Err(refusal(Kind::NoOp, line)),
    }
}

/// True if a server that requires credentials says so to a request. It takes a store for them.
pub(super) fn are_missing(line: &[u8]) -> bool {
    let words: [&[u8]; 3] = [
        b"CLIENT_ERROR unauthenticated",
        b"CLIENT_ERROR authentication failure",
        b"CLIENT_ERROR bad authentication token format",
    ];
    words.contains(&line)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let path = std::env::temp_dir().join(format!("credentials-{name}-{}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = Credentials::read(path.to_str().unwrap());
        fs::remove_file(&path).unwrap();
        let mut out = Vec::new();
        credentials.map(|credentials| {
            assert!(!format!("{credentials:?}").contains("pass"));
            credentials.encode(&mut out).unwrap();
            out
        })
    }

    #[test]
    fn a_file_of_one_line_is_read() {
        let expected = b"set kamailio-memcached:login 0 -1 14\r\nuser pass:word\r\n";
        for bytes in ["user:pass:word", "user:pass:word\n", "user:pass:word\r\n"] {
            assert_eq!(read("good", bytes.as_bytes()).as_deref(), Ok(&expected[..]));
        }
        let longest = ["u:", &"x".repeat(MAX_LINE - 2), "\r\n"].concat();
        assert!(read("good", longest.as_bytes()).is_ok());
    }

    #[test]
    fn a_mistake_is_refused_without_the_words() {
        for (bytes, fault) in [
            ("", "there is no colon"),
            ("userhush\n", "there is no colon"),
            (":hush\n", "the user is empty"),
            ("us er:hush\n", "the user is empty, or has a space"),
            ("user:\n", "the password is empty"),
            ("user:hush\nother:hush\n", "there is more than one line"),
            ("user:hush\n\n", "there is more than one line"),
            ("user:pa\tss\n", "there is a control character"),
            (
                &["u:", &"hush".repeat(100)].concat(),
                "longer than 257 bytes",
            ),
        ] {
            let line = read("bad", bytes.as_bytes()).unwrap_err();
            assert!(
                line.contains(fault) && line.contains("; accepted: "),
                "{line}"
            );
            assert!(
                !line.replace("user:password", "").contains("hush"),
                "{line}"
            );
        }
    }
}
