//! `mg`

use super::super::items::{Item, Items};
use super::super::session::Step;
use super::flags::Flags;
use super::{append, check, reflect};

pub(in super::super) fn get(words: &[&[u8]], items: &mut Items) -> Step {
    if let Err(refusal) = check(words, "CLIENT_ERROR options flags are too long") {
        return refusal;
    }
    let tokens = &words[2..];
    let read = Flags::read(words[1], tokens, items);
    let answer = read.and_then(|flags| {
        let now = items.now();
        let mut created = false;
        if let (None, Some(_)) = (items.get(&flags.key), flags.vivify) {
            items.put(&flags.key, Item::default());
            created = true;
        }
        match items.held(&flags.key) {
            Some(item) => hit(item, created, &flags, tokens, now),
            None => miss(&flags, tokens),
        }
    });
    answer.unwrap_or_else(Step::say)
}

fn miss(flags: &Flags, tokens: &[&[u8]]) -> Result<Step, &'static str> {
    let mut line = b"EN".to_vec();
    for token in tokens {
        reflect(&mut line, token, &flags.key, flags.binary_key)?;
    }
    Ok(Step::say(line).unless(flags.quiet))
}

fn hit(
    item: &mut Item,
    created: bool,
    flags: &Flags,
    tokens: &[&[u8]],
    now: u32,
) -> Result<Step, &'static str> {
    if !flags.no_use && !flags.late_use {
        item.read(now);
    }
    let size = item.value.len();
    let mut line = match flags.value {
        true => format!("VA {size}").into_bytes(),
        false => b"HD".to_vec(),
    };
    let mut wins = false;
    for token in tokens {
        match token[0] {
            b'T' => item.expires = flags.expires.unwrap_or(0),
            b'N' if created => {
                item.expires = flags.vivify.unwrap_or(0);
                wins = true;
            }
            b'R' if !created && !item.promised && item.expires != 0 => {
                wins |= item.expires < flags.recache;
            }
            b's' => append(&mut line, format!("s{size}")),
            b't' => append(&mut line, format!("t{}", item.seconds_left(now))),
            b'c' => append(&mut line, format!("c{}", item.cas)),
            b'f' => append(&mut line, format!("f{}", item.flags)),
            b'l' => append(&mut line, format!("l{}", now - item.used)),
            b'h' => append(&mut line, format!("h{}", u8::from(item.fetched))),
            _ => reflect(&mut line, token, &flags.key, item.binary_key)?,
        }
    }
    if item.promised {
        append(&mut line, "Z");
    }
    if item.stale {
        append(&mut line, "X");
        wins |= !item.promised;
    }
    if wins {
        append(&mut line, "W");
        item.promised = true;
    }
    if flags.value {
        line.extend([b"\r\n", &item.value[..]].concat());
    }
    if !flags.no_use && flags.late_use {
        item.read(now);
    }
    Ok(Step::say(line))
}
