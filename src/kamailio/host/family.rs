//! A `Family` is a range of Kamailio versions that are alike in everything that we use.

/// The known families. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// 5.3
    F53,
    /// 5.4, 5.5, 5.6
    F54,
    /// 5.7, 5.8, 6.0: integers have 64 bits
    F57,
    /// 6.1: `ver_flags` has words that are missing in the loader's string
    F61,
}

impl Family {
    /// The family of a version, or `None` for an unknown version.
    pub(crate) fn of(version: &str) -> Option<Self> {
        let mut numbers = version.split('.').map(leading_number);
        match (numbers.next()??, numbers.next()??) {
            (5, 3) => Some(Self::F53),
            (5, 4..=6) => Some(Self::F54),
            (5, 7 | 8) | (6, 0) => Some(Self::F57),
            (6, 1) => Some(Self::F61),
            _ => None,
        }
    }

    /// Whether integers of scripts have 64 bits.
    pub(crate) fn has_long_integers(self) -> bool {
        self >= Self::F57
    }

    /// The number of `SR_KEMIP_LONG` in KEMI (`core/kemi.h`): an integer of 64 bits. `None` = there are
    /// none.
    pub(crate) fn kemi_long(self) -> Option<i32> {
        self.has_long_integers().then_some(8)
    }

    /// The number of `SR_KEMIP_XVAL` in KEMI: a function returns a value of any type.
    pub(crate) fn kemi_value(self) -> i32 {
        if self.has_long_integers() { 16 } else { 8 }
    }

    /// The number of `SR_KEMIP_NULL` in KEMI: no value.
    pub(crate) fn kemi_null(self) -> i32 {
        if self.has_long_integers() { 32 } else { 16 }
    }

    /// The value of `PVT_OTHER` in `enum _pv_type` (`core/pvar.h`).
    pub(crate) fn pvt_other(self) -> i32 {
        if self == Self::F53 { 20 } else { 22 }
    }
}

fn leading_number(part: &str) -> Option<u32> {
    let end = part
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(part.len());
    part[..end].parse().ok()
}
