use super::*;
use crate::kamailio::fake;
use std::ptr;

/// A core that calls itself what the test wants, with the fake's symbols.
struct Core {
    version: &'static CStr,
    arch: &'static CStr,
    flags: &'static CStr,
    lacks: Option<&'static CStr>,
}

const ARCH: &CStr = if cfg!(target_arch = "x86_64") {
    c"x86_64"
} else {
    c"aarch64"
};

impl Core {
    fn new(version: &'static CStr) -> Self {
        Self {
            version,
            arch: ARCH,
            flags: c"USE_TCP",
            lacks: None,
        }
    }

    fn recognise(&self) -> Result<(Family, String, String), String> {
        let find = |name: &CStr| {
            let text = match name.to_bytes() {
                _ if self.lacks == Some(name) => return ptr::null_mut(),
                b"ver_name" => c"kamailio",
                b"ver_version" => self.version,
                b"ver_arch" => self.arch,
                b"ver_os" => c"linux",
                b"ver_flags" => self.flags,
                _ => return fake::find(name),
            };
            text.as_ptr().cast_mut().cast()
        };
        // SAFETY: texts, and functions and variables of the right types.
        match unsafe { recognise(find) } {
            Ok((host, expected)) => Ok((
                host.family,
                expected.version.into_string().unwrap(),
                expected.flags.into_string().unwrap(),
            )),
            Err(refusal) => Err(refusal.into_string().unwrap()),
        }
    }
}

#[test]
fn known_hosts_get_their_family_and_both_strings() {
    for (version, family) in [
        (c"5.3.0", Family::F53),
        (c"5.4.4", Family::F54),
        (c"5.6.3", Family::F54),
        (c"5.7.0-pre1", Family::F57),
        (c"5.8.8", Family::F57),
        (c"6.0.1", Family::F57),
        (c"6.1.5", Family::F61),
    ] {
        let (found, text, flags) = Core::new(version).recognise().unwrap();
        assert_eq!(found, family);
        let (version, arch) = (version.to_str().unwrap(), ARCH.to_str().unwrap());
        assert_eq!(text, format!("kamailio {version} ({arch}/linux)"));
        assert_eq!(flags, "USE_TCP");
    }
}

#[test]
fn flags_lose_the_words_that_only_newer_cores_have() {
    let flags = c"DBG_SR_MEMORY, DBG_QM_MALLOC, DBG_F_MALLOC, DBG_QM_MALLOC_BACKTRACE, SHM_MMAP";
    let newer = Core {
        flags,
        ..Core::new(c"6.1.5")
    };
    let seen = "DBG_SR_MEMORY, DBG_QM_MALLOC_BACKTRACE, SHM_MMAP";
    assert_eq!(newer.recognise().unwrap().2, seen);
    let older = Core {
        flags,
        ..Core::new(c"6.0.1")
    };
    assert_eq!(older.recognise().unwrap().2, flags.to_str().unwrap());
}

#[test]
fn flags_have_futexes_only_where_the_core_can_use_them() {
    let flags = "SHM_MMAP, USE_FUTEX, FAST_LOCK";
    for family in [Family::F53, Family::F54, Family::F57, Family::F61] {
        let on = |arch| flags_for_loader(family, arch, flags);
        assert_eq!(on("x86_64"), flags);
        let on_arm = match family {
            Family::F61 => flags,
            _ => "SHM_MMAP, FAST_LOCK",
        };
        assert_eq!(on("aarch64"), on_arm, "{family:?}");
    }
}

#[test]
fn unknown_hosts_are_refused_in_words() {
    for version in [
        c"5.2.9",
        c"6.2.0-dev1",
        c"7.0.0",
        c"4.4.7",
        c"6",
        c"",
        c"six.one",
    ] {
        let refusal = Core::new(version).recognise().unwrap_err();
        let found = format!("'kamailio {} (", version.to_str().unwrap());
        assert!(
            refusal.contains(&found) && refusal.contains("accepted: Kamailio 5.3 to 6.1"),
            "{refusal}"
        );
    }
}

#[test]
fn another_architecture_and_missing_symbols_are_refused_in_words() {
    let other = Core {
        arch: c"mips64",
        ..Core::new(c"5.6.3")
    };
    assert!(
        other
            .recognise()
            .unwrap_err()
            .contains("(mips64/linux)' has another architecture")
    );
    let poor = Core {
        lacks: Some(c"pv_printf"),
        ..Core::new(c"5.6.3")
    };
    assert!(
        poor.recognise()
            .unwrap_err()
            .contains("has no symbol 'pv_printf'")
    );
    let without_log = Core {
        lacks: Some(c"_km_log_func"),
        ..Core::new(c"5.6.3")
    };
    assert!(without_log.recognise().is_err());
}
