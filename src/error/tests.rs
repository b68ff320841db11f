use super::*;

fn of(code: i32) -> Error {
    Error::of_connecting(NotConnected::Refused(io::Error::from_raw_os_error(code)))
}

#[test]
fn what_this_process_lacks_is_not_the_servers_fault() {
    for code in [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EADDRNOTAVAIL,
    ] {
        let error = of(code);
        assert!(matches!(error, Error::Down(Down::Shortage(_))), "{error:?}");
        assert!(!error.counts_against_server() && !error.is_refusal());
        assert!(error.allows_stand_in(false), "nothing was sent");
        let text = error.to_string();
        assert!(text.starts_with("this process cannot open"), "{text}");
    }
    // It could not even ask, whatever the reason.
    let error = Error::of_connecting(io::Error::from_raw_os_error(libc::EACCES).into());
    assert!(error.is_shortage() && !error.counts_against_server());
}

#[test]
fn what_this_process_lacks_in_an_exchange_is_not_the_servers_fault() {
    for code in [libc::ENOMEM, libc::ENOBUFS] {
        let error = Error::of_exchange(io::Error::from_raw_os_error(code));
        assert!(error.is_shortage() && !error.is_hangup());
        assert!(!error.counts_against_server() && !error.is_refusal());
        assert!(!error.allows_stand_in(false), "it may be done already");
        let text = error.to_string();
        assert!(text.starts_with("this process cannot use"), "{text}");
    }
    for code in [libc::EPIPE, libc::ECONNRESET, libc::ETIMEDOUT] {
        let error = Error::of_exchange(io::Error::from_raw_os_error(code));
        assert!(error.is_hangup() && error.counts_against_server());
    }
}

#[test]
fn a_server_that_cannot_be_connected_has_failed() {
    for code in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ETIMEDOUT] {
        let error = of(code);
        assert!(matches!(error, Error::Down(Down::Connect(_))), "{error:?}");
        assert!(error.counts_against_server() && error.allows_stand_in(false));
    }
    let other = io::Error::new(io::ErrorKind::InvalidInput, "no code");
    let error = Error::of_connecting(NotConnected::Refused(other));
    assert!(matches!(error, Error::Down(Down::Connect(_))), "{error:?}");
}

#[test]
fn no_error_is_both_a_refusal_and_the_servers_fault() {
    let refusals = [
        Error::Refused(Refusal::EmptyKey),
        Error::TooLarge(TooLarge::ToStore),
        Error::TooLarge(TooLarge::ToRead { len: 9, limit: 8 }),
        Error::TooLarge(TooLarge::ForMemory(9)),
        Error::NotANumber,
        Error::ServerError("x".into()),
        Error::Rejected("ERROR".into()),
    ];
    for error in refusals {
        assert!(error.is_refusal() && !error.counts_against_server());
        assert!(!error.allows_stand_in(true), "{error:?}");
    }
    let failures = [
        Error::Timeout(Waiting::Receive),
        Error::Down(Down::Closed),
        Error::Down(Down::Unresolved),
        Error::Garbled("x"),
        Error::Denied(Denied::NoCredentials),
    ];
    for error in failures {
        assert!(error.counts_against_server() && !error.is_refusal());
    }
    let out = Error::Down(Down::OutOfService);
    assert!(!out.counts_against_server() && !out.is_refusal());
}
