//! Validity: when a certificate ends.
//!
//! The library verifies certificates, but does not tell when they end. A certificate is DER: nested
//! elements of tag, length and content. Its end is the second time of the element `validity`.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When it ends, in seconds of Unix time; `None` if that cannot be read.
pub(super) fn end(certificate: &[u8]) -> Option<i64> {
    let mut outer = certificate;
    let mut inner = content(&mut outer, SEQUENCE)?;
    let mut body = content(&mut inner, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        content(&mut body, VERSION)?;
    }
    // Serial number, algorithm, issuer.
    content(&mut body, INTEGER)?;
    content(&mut body, SEQUENCE)?;
    content(&mut body, SEQUENCE)?;
    let mut validity = content(&mut body, SEQUENCE)?;
    element(&mut validity)?;
    match element(&mut validity)? {
        (UTC_TIME, text) => {
            let year = digits(text, 0..2)?;
            seconds(
                if year < 50 { 2000 + year } else { 1900 + year },
                &text[2..],
            )
        }
        (GENERALIZED_TIME, text) => seconds(digits(text, 0..4)?, &text[4..]),
        _ => None,
    }
}

/// The next element's tag and content.
fn element<'a>(from: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, first, rest @ ..] = *from else {
        return None;
    };
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let len = bytes
                .iter()
                .fold(0, |len, &byte| len << 8 | usize::from(byte));
            (len, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    *from = rest;
    Some((*tag, content))
}

fn content<'a>(from: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    element(from).and_then(|(found, content)| (found == tag).then_some(content))
}

fn digits(text: &[u8], at: std::ops::Range<usize>) -> Option<i64> {
    let text = text.get(at)?;
    let all = text.iter().all(u8::is_ascii_digit);
    all.then(|| {
        text.iter()
            .fold(0, |n, &digit| n * 10 + i64::from(digit - b'0'))
    })
}

/// The seconds of Unix time of `MMDDhhmmssZ` in a year.
fn seconds(year: i64, rest: &[u8]) -> Option<i64> {
    if rest.len() != 11 || rest[10] != b'Z' {
        return None;
    }
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| digits(rest, at..at + 2));
    let (month, day) = (month?, day?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, in which a year begins with March.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = years * 365 + years.div_euclid(4) - years.div_euclid(100)
        + years.div_euclid(400)
        + (months * 153 + 2) / 5
        + day
        - 719_469;
    Some(days * 86_400 + hour? * 3600 + minute? * 60 + second?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (year, rest, expected) in [
            (1970, "0101000000Z", 0),
            (2000, "0229235959Z", 951_868_799),
            (2026, "1129000000Z", 1_795_910_400),
            (9999, "1231235959Z", 253_402_300_799),
        ] {
            assert_eq!(
                seconds(year, rest.as_bytes()),
                Some(expected),
                "{year}{rest}"
            );
        }
        for rest in [
            "1301000000Z",
            "0100000000Z",
            "0101000000",
            "01010000000",
            "x101000000Z",
        ] {
            assert_eq!(seconds(2026, rest.as_bytes()), None, "{rest}");
        }
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        // Version, serial number, algorithm, issuer, validity.
        let validity = [
            &[0x30, 30, 0x17, 13][..],
            b"260101000000Z",
            &[0x17, 13],
            b"491231235959Z",
        ];
        let body = [
            &[0xa0, 3, 2, 1, 2, 2, 1, 7, 0x30, 0, 0x30, 0][..],
            &validity.concat(),
        ]
        .concat();
        let body = [&[0x30, body.len() as u8][..], &body].concat();
        let whole = [&[0x30, 0x81, body.len() as u8][..], &body].concat();
        assert_eq!(end(&whole), Some(2_524_607_999));
        for len in 0..whole.len() {
            assert_eq!(end(&whole[..len]), None, "{len}");
        }
    }
}
