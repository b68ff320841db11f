//! Checks of what a test expects memcached to hold.

use super::Memcached;

/// By so many seconds a lifetime may be shorter when a test looks at it.
const SLOW: i64 = 30;

impl Memcached {
    /// Fails the test unless the item at `key` has these flags and these bytes.
    #[track_caller]
    pub fn assert_holds(&self, key: impl AsRef<[u8]>, flags: u32, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), value.as_ref());
        let shown = |flags: u32, value: &[u8]| format!("{flags} \"{}\"", value.escape_ascii());
        let held = self.item(key).map(|item| shown(item.flags, &item.value));
        let expected = Some(shown(flags, value));
        assert_eq!(held, expected, "under \"{}\"", key.escape_ascii());
    }

    /// Fails the test unless the item at `key` was given this lifetime a moment ago. -1 means that
    /// it never expires.
    #[track_caller]
    pub fn assert_expires_in(&self, key: impl AsRef<[u8]>, seconds: i64) {
        let key = key.as_ref();
        let left = self.item(key).map(|item| item.ttl);
        let fits = left.is_some_and(|left| match seconds {
            -1 => left == -1,
            // The server's clock counts whole seconds.
            _ => left >= 0 && (seconds - SLOW..=seconds + 1).contains(&left),
        });
        let key = key.escape_ascii();
        assert!(fits, "\"{key}\": {seconds} s expected, {left:?} found");
    }
}
