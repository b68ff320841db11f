//! `ServersFile` is a file in which an operator lists servers.

use crate::memory;
use crate::quoted::quoted;
use crate::server::{self, ServerSpec};
use crate::text_file;

/// So many bytes are enough to read the longest file and to publish its list.
const ROOM: usize = 3 << 20;

/// The path of a file with one server on each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersFile {
    path: String,
}

impl ServersFile {
    /// The file at `path`, which is not opened yet.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Reads the present list.
    ///
    /// # Errors
    /// One line for the operator: the line of the file, what is wrong there, what is accepted, and
    /// the path of the file.
    pub fn read(&self) -> Result<Vec<ServerSpec>, String> {
        if !memory::has(ROOM) {
            let path = quoted(&self.path);
            return Err(format!("{} to read the file {path}", memory::TOO_LITTLE));
        }
        let text = text_file::read(&self.path)?;
        server::parse_file(&text)
            .map_err(|refusal| format!("{refusal} (file {})", quoted(&self.path)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_or_the_reason_told() {
        let path = std::env::temp_dir().join(format!("servers-{}.list", std::process::id()));
        let file = ServersFile::new(path.to_str().unwrap());
        assert!(file.read().unwrap_err().contains("cannot read '"));
        fs::write(&path, "# two\na:1\nb:2 bee\n").unwrap();
        let two = file.read();
        fs::write(&path, "a:1\nb:0\n").unwrap();
        let bad = file.read();
        fs::remove_file(&path).unwrap();
        assert_eq!(two.unwrap().len(), 2);
        let bad = bad.unwrap_err();
        assert!(
            bad.contains("line 2: invalid port '0' in 'b:0'") && bad.contains("accepted: "),
            "{bad}"
        );
    }
}
