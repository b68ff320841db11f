//! `ma`

use super::super::classic::NOT_A_NUMBER;
use super::super::items::{Counted, Item, Items, Step as By};
use super::super::session::Step;
use super::flags::Flags;
use super::{BAD_FLAG, append, check, reflect};

pub(in super::super) fn count(words: &[&[u8]], items: &mut Items) -> Step {
    if let Err(refusal) = check(words, "CLIENT_ERROR options flags too long") {
        return refusal;
    }
    let tokens = &words[2..];
    let Ok(flags) = Flags::read(words[1], tokens, items) else {
        return Step::say(BAD_FLAG);
    };
    run(&flags, tokens, items).unwrap_or_else(Step::say)
}

fn run(flags: &Flags, tokens: &[&[u8]], items: &mut Items) -> Result<Step, &'static str> {
    let delta = flags.delta.unwrap_or(1);
    let by = match flags.mode {
        None | Some(b'I' | b'+') => By::Up(delta),
        Some(b'D' | b'-') => By::Down(delta),
        Some(_) => return Err("CLIENT_ERROR invalid mode for ma M token"),
    };
    let now = items.now();
    let (mut created, mut gone) = (false, None);
    let number = match items.count(&flags.key, by, flags.cas.unwrap_or(0)) {
        Counted::Number(number, old) => {
            gone = old;
            number
        }
        Counted::NotFound if flags.vivify.is_some() => {
            created = true;
            let number = flags.initial.to_string();
            let value = number.clone().into();
            let item = Item {
                value,
                ..Item::default()
            };
            items.put(&flags.key, item);
            number
        }
        Counted::NotFound => return no_item("NF", flags, tokens),
        Counted::OtherVersion => return no_item("EX", flags, tokens),
        Counted::NotANumber => return Err(NOT_A_NUMBER),
    };
    // If a longer number has taken the item's place, it is still the old item that is asked and that
    // gets the new lifetime.
    let item = match &mut gone {
        Some(gone) => gone,
        None => items.held(&flags.key).expect("it is there"),
    };
    let mut line = match flags.value {
        true => format!("VA {}", number.len()).into_bytes(),
        false => b"HD".to_vec(),
    };
    for token in tokens {
        match token[0] {
            b'c' => append(&mut line, format!("c{}", item.cas)),
            b't' => append(&mut line, format!("t{}", item.seconds_left(now))),
            b'T' => item.expires = flags.expires.unwrap_or(0),
            b'N' if created => item.expires = flags.vivify.unwrap_or(0),
            _ => reflect(&mut line, token, &flags.key, flags.binary_key)?,
        }
    }
    if flags.value {
        line.extend([b"\r\n", number.as_bytes()].concat());
    }
    Ok(Step::say(line).unless(flags.quiet && !created))
}

fn no_item(code: &str, flags: &Flags, tokens: &[&[u8]]) -> Result<Step, &'static str> {
    let mut line = code.as_bytes().to_vec();
    for token in tokens {
        reflect(&mut line, token, &flags.key, flags.binary_key)?;
    }
    Ok(Step::say(line))
}
