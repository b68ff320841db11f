//! `Flags` is what the flags of a meta command say, as far as it decides what is done.

use super::super::base64;
use super::super::items::Items;
use super::super::number::{signed32, unsigned32, unsigned64};
use super::BAD_FORMAT;

const BAD_TOKEN: &str = "CLIENT_ERROR bad token in command line format";

/// The flags of one command, each at most once.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// The key, decoded if it came in base64.
    pub(super) key: Vec<u8>,
    /// `b`: it came in base64.
    pub(super) binary_key: bool,
    /// `v`: with the value.
    pub(super) value: bool,
    /// `q`: no answer if all is well.
    pub(super) quiet: bool,
    /// `u`: reading does not count as use.
    pub(super) no_use: bool,
    /// A flag that has memcached look at an item before the read counts as use.
    pub(super) late_use: bool,
    /// `I`
    pub(super) stale: bool,
    /// `M`
    pub(super) mode: Option<u8>,
    /// `T`: when the item ends, by the server's clock.
    pub(super) expires: Option<u32>,
    /// `N`: when an item ends that is created.
    pub(super) vivify: Option<u32>,
    /// `R`: an item that ends before is to be renewed.
    pub(super) recache: u32,
    /// `F`
    pub(super) client_flags: u32,
    /// `C`
    pub(super) cas: Option<u64>,
    /// `D`
    pub(super) delta: Option<u64>,
    /// `J`
    pub(super) initial: u64,
}

impl Flags {
    /// Reads the flags. A mistake is told only after all flags, unless one comes twice or is unknown.
    pub(super) fn read(key: &[u8], flags: &[&[u8]], items: &Items) -> Result<Self, &'static str> {
        let mut seen = [false; 127];
        let mut read = Self {
            key: key.to_vec(),
            ..Self::default()
        };
        let mut mistake = None;
        for flag in flags {
            let letter = flag[0];
            let seen = seen.get_mut(usize::from(letter));
            match seen {
                Some(seen) if !*seen => *seen = true,
                _ => return Err("CLIENT_ERROR duplicate flag"),
            }
            if !b"bNTRlOPLkstcfvhuqFCMJDI".contains(&letter) {
                return Err("CLIENT_ERROR invalid flag");
            }
            if let Err(words) = read.note(letter, &flag[1..], items) {
                mistake = words.or(mistake).or(Some(BAD_FORMAT));
            }
        }
        match mistake {
            Some(words) => Err(words),
            None => Ok(read),
        }
    }

    /// A flag with its token. A mistake may have no words of its own.
    fn note(
        &mut self,
        letter: u8,
        token: &[u8],
        items: &Items,
    ) -> Result<(), Option<&'static str>> {
        let end = || signed32(token).map(|lifetime| items.end_of(lifetime));
        let number = || unsigned64(token);
        self.late_use |= b"NTRlh".contains(&letter);
        match letter {
            b'b' => {
                let key = base64::decode(&self.key);
                self.key = key.ok_or(Some("CLIENT_ERROR error decoding key"))?;
                self.binary_key = true;
            }
            b'v' => self.value = true,
            b'q' => self.quiet = true,
            b'u' => self.no_use = true,
            b'I' => self.stale = true,
            b'T' => self.expires = Some(end().ok_or(Some(BAD_TOKEN))?),
            b'N' => self.vivify = Some(end().ok_or(Some(BAD_TOKEN))?),
            b'R' => self.recache = end().ok_or(Some(BAD_TOKEN))?,
            b'C' => self.cas = Some(number().ok_or(Some(BAD_TOKEN))?),
            b'F' => self.client_flags = unsigned32(token).ok_or(None)?,
            b'M' => {
                let [mode] = token[..] else {
                    return Err(Some("CLIENT_ERROR incorrect length for M token"));
                };
                self.mode = Some(mode);
            }
            b'J' => {
                let words = "CLIENT_ERROR invalid numeric initial value";
                self.initial = number().ok_or(Some(words))?;
            }
            b'D' => {
                let words = "CLIENT_ERROR invalid numeric delta value";
                self.delta = Some(number().ok_or(Some(words))?);
            }
            _ => {}
        }
        Ok(())
    }
}
