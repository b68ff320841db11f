//! The grammar of one server: `address[:port][:weight] [alias]`.
//!
//! It checks only the form, because a name that does not resolve today may resolve tomorrow.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::refusal::Fault;
use super::{Address, DEFAULT_PORT, MAX_NAME, MAX_PATH, MAX_WEIGHT, ServerSpec};

/// Reads one item. Blanks around it are ignored.
pub(super) fn server(item: &str) -> Result<ServerSpec, Fault> {
    let mut words = item.split_ascii_whitespace();
    let place = words.next().ok_or(Fault::EmptyItem)?;
    let alias = words.next().map(alias).transpose()?;
    if let Some(text) = words.next() {
        return Err(Fault::Trailing(text.to_owned()));
    }
    let (address, weight) = if place.starts_with('/') {
        unix(place)?
    } else {
        tcp(place)?
    };
    Ok(ServerSpec {
        address,
        weight,
        alias,
    })
}

/// Reads `/path` or `/path:weight`. `/path:0` is accepted because users of the stock module write
/// it.
fn unix(place: &str) -> Result<(Address, u16), Fault> {
    let (path, weight) = match place.split_once(':') {
        Some((path, "0")) => (path, 1),
        Some((path, text)) => (path, weight(text)?),
        None => (place, 1),
    };
    if path.len() > MAX_PATH {
        return Err(Fault::LongPath);
    }
    if path == "/" || path.contains(|c: char| c == ',' || c.is_control()) {
        return Err(Fault::BadPath);
    }
    Ok((Address::Unix(path.to_owned()), weight))
}

/// Reads `host`, `host:port` or `host:port:weight`. An IPv6 address is in brackets.
fn tcp(place: &str) -> Result<(Address, u16), Fault> {
    let (host, numbers) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, numbers) = rest.split_once(']').ok_or(Fault::BadIpv6)?;
            (ipv6(host)?, numbers)
        }
        None if is_bare_ipv6(place) => return Err(Fault::BareIpv6),
        None => {
            let (host, numbers) = place.split_at(place.find(':').unwrap_or(place.len()));
            (name_or_ipv4(host)?, numbers)
        }
    };

    if host.len() > MAX_NAME {
        return Err(Fault::LongName);
    }

    let mut numbers = numbers.split(':');
    if let Some(text) = numbers.next().filter(|text| !text.is_empty()) {
        return Err(Fault::Trailing(text.to_owned()));
    }
    let port = numbers.next().map_or(Ok(DEFAULT_PORT), port)?;
    let weight = numbers.next().map_or(Ok(1), weight)?;
    if let Some(text) = numbers.next() {
        return Err(Fault::Trailing(text.to_owned()));
    }
    let host = host.to_owned();
    Ok((Address::Tcp { host, port }, weight))
}

/// True if this is an IPv6 address without brackets, perhaps with a zone, a port or a weight.
fn is_bare_ipv6(place: &str) -> bool {
    let address = place.split('%').next().unwrap_or(place);
    let many_colons = address.matches(':').count() > 2;
    let digits = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    address.parse::<Ipv6Addr>().is_ok() || (many_colons && address.bytes().all(digits))
}

/// Reads an IPv6 address, which may have a zone: `fe80::1%eth0`.
fn ipv6(host: &str) -> Result<&str, Fault> {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    let zone_is_name = zone.is_none_or(is_name);
    match address.parse::<Ipv6Addr>() {
        Ok(_) if zone_is_name => Ok(host),
        _ => Err(Fault::BadIpv6),
    }
}

fn name_or_ipv4(host: &str) -> Result<&str, Fault> {
    if host.is_empty() {
        return Err(Fault::EmptyAddress);
    }
    if host.split('.').all(is_number) {
        let ipv4: Result<Ipv4Addr, _> = host.parse();
        return ipv4.map(|_| host).map_err(|_| Fault::BadIpv4);
    }
    if host.starts_with(['-', '.']) || !is_name(host) {
        return Err(Fault::BadName);
    }
    Ok(host)
}

/// True for digits, also hexadecimal ones. The C library takes a name of such parts for an IPv4
/// address: `0x7f.1` is 127.0.0.1.
fn is_number(part: &str) -> bool {
    match part.strip_prefix("0x").or(part.strip_prefix("0X")) {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => part.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn alias(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_NAME {
        return Err(Fault::LongName);
    }
    if !is_name(text) {
        return Err(Fault::BadAlias(text.to_owned()));
    }
    Ok(text.to_owned())
}

fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && text.bytes().all(legal)
}

fn port(text: &str) -> Result<u16, Fault> {
    number(text, u16::MAX).ok_or_else(|| Fault::BadPort(text.to_owned()))
}

fn weight(text: &str) -> Result<u16, Fault> {
    number(text, MAX_WEIGHT).ok_or_else(|| Fault::BadWeight(text.to_owned()))
}

/// Reads decimal digits with a value from 1 to `max`.
fn number(text: &str, max: u16) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (1..=max).contains(&number).then_some(number)
}
