//! A database of SQLite in a scratch folder, for examples that look something up.

use std::path::PathBuf;
use std::process::Command;

use crate::{Host, Scratch, process};

/// A database. It is removed when this is dropped.
pub struct Sqlite {
    path: PathBuf,
    _scratch: Scratch,
}

impl Sqlite {
    /// A database with what these statements make.
    pub fn with(statements: &[&str]) -> Self {
        let scratch = Host::current().scratch();
        let database = Self {
            path: scratch.join("database.sqlite"),
            _scratch: scratch,
        };
        statements.iter().for_each(|sql| database.run(sql));
        database
    }

    /// Executes statements, waiting for Kamailio's own.
    pub fn run(&self, sql: &str) {
        let mut sqlite = Command::new("sqlite3");
        sqlite
            .args(["-bail", "-cmd", ".timeout 10000"])
            .arg(&self.path);
        let output = process::output(sqlite.arg(sql));
        let output = output.unwrap_or_else(|error| panic!("cannot run sqlite3: {error}"));
        assert!(output.status.success(), "{sql}: {output:?}");
    }

    /// The URL by which Kamailio finds it.
    pub fn url(&self) -> String {
        let path = Host::current().inside(&self.path);
        format!("sqlite://{}", path.display())
    }
}
