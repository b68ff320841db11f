//! `ms`

use super::super::classic::{TOO_LARGE, value_length};
use super::super::items::{Item, Items, Mode, Offer};
use super::super::number::signed32;
use super::super::session::{Expects, Step};
use super::super::upload::{Dialect, Return, Upload};
use super::flags::Flags;
use super::{BAD_FORMAT, OPAQUE_LIMIT, OPAQUE_TOO_LONG, check};

pub(in super::super) fn set(words: &[&[u8]], items: &mut Items) -> Step {
    if let [_, key] = words
        && key.len() <= super::KEY_LIMIT
    {
        return Step::say(BAD_FORMAT);
    }
    if let Err(refusal) = check(words, "CLIENT_ERROR options flags too long") {
        return refusal;
    }
    let Some(length) = signed32(words[2]).and_then(value_length) else {
        return Step::say(BAD_FORMAT);
    };
    match upload(words, length, items) {
        Ok(upload) => Step::expect(Expects::Value(Box::new(upload))),
        Err(words) => {
            let mut step = Step::say(words);
            step.next = Expects::Skipped(length + 2);
            step
        }
    }
}

fn upload(words: &[&[u8]], length: usize, items: &mut Items) -> Result<Upload, &'static str> {
    let flags = Flags::read(words[1], &words[3..], items)?;
    let mode = mode(&flags)?;
    if words[2..]
        .iter()
        .any(|token| token[0] == b'O' && token.len() > OPAQUE_LIMIT)
    {
        return Err(OPAQUE_TOO_LONG);
    }
    let returns = words[2..].iter().filter_map(|token| match token[0] {
        b'O' => Some(Return::Opaque(token.to_vec())),
        b'k' => Some(Return::Key),
        b'c' => Some(Return::Cas),
        _ => None,
    });
    let returns = returns.collect();
    if !items.is_size_ok(&flags.key, flags.client_flags, length) {
        items.remove(&flags.key);
        return Err(TOO_LARGE);
    }
    let item = Item {
        flags: flags.client_flags,
        expires: flags.expires.unwrap_or(0),
        binary_key: flags.binary_key,
        ..Item::default()
    };
    Ok(Upload {
        length,
        offer: Offer {
            mode,
            item,
            cas: flags.cas.unwrap_or(0),
            may_be_stale: flags.stale,
        },
        dialect: Dialect::Meta {
            quiet: flags.quiet,
            returns,
        },
        key: flags.key,
    })
}

fn mode(flags: &Flags) -> Result<Mode, &'static str> {
    Ok(match flags.mode {
        None | Some(b'S' | b'R') if flags.cas.is_some() => Mode::Cas,
        None | Some(b'S') => Mode::Set,
        Some(b'R') => Mode::Replace,
        Some(b'E') => Mode::Add,
        Some(b'A') => Mode::Append,
        Some(b'P') => Mode::Prepend,
        Some(_) => return Err("CLIENT_ERROR invalid mode for ms M token"),
    })
}
