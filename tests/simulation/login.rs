//! Login: user and password of the servers in some of the runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use support::kept;

pub const USER: &[u8] = b"node";
pub const PASSWORD: &[u8] = b"secret";

/// The key of the command that has them.
pub const KEY: &[u8] = b"kamailio-memcached:login";

/// Their file.
pub fn file() -> &'static str {
    static FILE: LazyLock<String> = LazyLock::new(|| {
        let path = kept("login", |file| {
            fs::write(file, [USER, b":", PASSWORD].concat()).expect("a writable folder");
            let only_owner = fs::Permissions::from_mode(0o600);
            fs::set_permissions(file, only_owner).expect("it is ours");
        });
        path.display().to_string()
    });
    &FILE
}

/// The command with which a client logs in.
pub fn command() -> Vec<u8> {
    let words = [USER, b" ", PASSWORD].concat();
    [
        b"set l 0 -1 ",
        words.len().to_string().as_bytes(),
        b"\r\n",
        &words,
        b"\r\n",
    ]
    .concat()
}
